/* Prints the text in an image while it is read.
 *
 *     cc recognize.c $(pkg-config --cflags --libs crispvl) -o recognize
 *     ./recognize MODEL.gguf page.png ["What is the total?"]
 */
#include <crispvl.h>
#include <stdio.h>

static int32_t print_token(const crispvl_token* token, void* user_data) {
    (void)user_data;
    fputs(token->text, stdout);
    return fflush(stdout); /* anything but 0 stops the reading */
}

int main(int argc, char** argv) {
    crispvl_load_params load;
    crispvl_recognize_params read;
    crispvl_image image = {0};
    crispvl_model* model = NULL;
    crispvl_result* result = NULL;
    crispvl_result_info info;
    crispvl_status status;

    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: %s MODEL.gguf IMAGE [PROMPT]\n", argv[0]);
        return 2;
    }
    crispvl_load_params_init(&load, sizeof load);
    load.path = argv[1];
    crispvl_recognize_params_init(&read, sizeof read);
    read.prompt = argc == 4 ? argv[3] : NULL;
    read.on_token = print_token;
    image.path = argv[2];

    status = crispvl_model_load(&load, &model);
    if (!status) status = crispvl_recognize(model, &image, &read, &result);
    if (!status) status = crispvl_result_get_info(result, &info, sizeof info);
    if (!status) {
        puts(""); /* ends the last line of the text */
        fflush(stdout);
        fprintf(stderr, "%d tokens in %.0f ms, confidence %.2f\n", (int)info.n_tokens,
                info.image_ms + info.encode_ms + info.prefill_ms + info.decode_ms,
                (double)info.confidence);
    } else {
        fprintf(stderr, "%s: %s\n", crispvl_status_name(status), crispvl_last_error());
    }
    crispvl_result_free(result);
    crispvl_model_free(model);
    return status ? 1 : 0;
}
