/* Prints the lines of a page and, indented, their words: the box of their ink, how sure the model
 * was, and the text.
 *
 *     cc lines.c $(pkg-config --cflags --libs crispvl) -o lines
 *     ./lines MODEL.gguf page.png
 */
#include <crispvl.h>
#include <stdio.h>

/* The upright rectangle around a part, which has no such sides itself where text is turned. */
static void print_part(const char* indent, const crispvl_text_part* part) {
    float left = part->quad_px[0][0], right = left;
    float top = part->quad_px[0][1], bottom = top;
    int i;

    for (i = 1; i < 4; ++i) {
        const float x = part->quad_px[i][0], y = part->quad_px[i][1];
        left = x < left ? x : left;
        right = x > right ? x : right;
        top = y < top ? y : top;
        bottom = y > bottom ? y : bottom;
    }
    printf("%s%.1f %.1f %.1f %.1f\t%.2f\t%s\n", indent, (double)left, (double)top, (double)right,
           (double)bottom, (double)part->confidence, part->text);
}

static crispvl_status print_lines(const crispvl_result* result) {
    crispvl_result_info info;
    crispvl_text_part line, word;
    crispvl_status status = crispvl_result_get_info(result, &info, sizeof info);
    size_t i, j;

    for (i = 0; !status && i < info.n_lines; ++i) {
        status = crispvl_result_get_line(result, i, &line, sizeof line);
        if (!status) print_part("", &line);
        for (j = 0; !status && j < line.n_words; ++j) {
            status = crispvl_result_get_word(result, line.i_first_word + j, &word, sizeof word);
            if (!status) print_part("\t", &word);
        }
    }
    return status;
}

int main(int argc, char** argv) {
    crispvl_load_params load;
    crispvl_recognize_params read;
    crispvl_image image = {0};
    crispvl_model* model = NULL;
    crispvl_result* result = NULL;
    crispvl_status status;

    if (argc != 3) {
        fprintf(stderr, "usage: %s MODEL.gguf IMAGE\n", argv[0]);
        return 2;
    }
    crispvl_load_params_init(&load, sizeof load);
    load.path = argv[1];
    crispvl_recognize_params_init(&read, sizeof read);
    read.layout = CRISPVL_LAYOUT_LINES;
    image.path = argv[2];

    status = crispvl_model_load(&load, &model);
    if (!status) status = crispvl_recognize(model, &image, &read, &result);
    if (!status) status = print_lines(result);
    if (status) fprintf(stderr, "%s: %s\n", crispvl_status_name(status), crispvl_last_error());
    crispvl_result_free(result);
    crispvl_model_free(model);
    return status ? 1 : 0;
}
