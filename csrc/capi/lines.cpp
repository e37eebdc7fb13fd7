// The C skin: pages read by their lines, and the places of what was read. See include/crispvl.h.
#include <limits>
#include <utility>

#include "base/utf8.h"
#include "capi/guard.h"
#include "capi/handles.h"
#include "capi/image.h"
#include "capi/params.h"
#include "engine/clock.h"
#include "engine/line_reader.h"

namespace crispvl::capi {
namespace {

// What is read of a page, whatever is made of its lines.
std::vector<int32_t> ask_for_lines(const crispvl_model& model) {
    const ModelConfig& config = model.core->config();
    const std::string prompt = prompt_for(config.chat, CRISPVL_TASK_TEXT);
    return model.prompts->build({{"user", {{true, {}}, {false, prompt}}}},
                                {config.image.tokens_per_tile});
}

void set_quad(const lines::Corners& corners, crispvl_text_part& part) {
    for (size_t i = 0; i < corners.size(); ++i) {
        part.quad_px[i][0] = static_cast<float>(corners[i].x);
        part.quad_px[i][1] = static_cast<float>(corners[i].y);
    }
}

// The bytes before each character of a text, and all of them.
std::vector<size_t> byte_places(const std::string& text) {
    std::vector<size_t> places;
    for (size_t i = 0; i < text.size(); ++i) {
        if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) places.push_back(i);
    }
    places.push_back(text.size());
    return places;
}

// Of a PlacedLine or a PlacedWord; `at`: the bytes before each character of the page's text.
template <class Placed>
crispvl_placed_part part_of(const Placed& placed, const std::vector<size_t>& at,
                            const crispvl_result& result, const lines::PlacedLine& line) {
    crispvl_placed_part part{to_utf8(placed.text), {}};
    part.known.start_bytes = at[placed.start];
    part.known.confidence = static_cast<float>(placed.confidence);
    part.known.block = line.block;
    part.known.i_line = result.lines.size();
    part.known.i_first_word = result.words.size();
    part.known.n_words = 1;
    set_quad(placed.quad, part.known);
    return part;
}

// Gives the lines that were read to the result.
void place_lines(const LineReading& reading, crispvl_result& result) {
    const std::vector<size_t> at = byte_places(result.generation.text);
    for (const lines::PlacedLine& line : reading.lines) {
        crispvl_placed_part placed = part_of(line, at, result, line);
        placed.known.n_words = line.words.size();
        for (const lines::PlacedWord& word : line.words) {
            result.words.push_back(part_of(word, at, result, line));
        }
        result.lines.push_back(std::move(placed));
    }
}

void keep(LineReading& reading, size_t n_prompt_tokens, crispvl_result& result) {
    result.generation = std::move(reading.generation);
    result.info.n_tiles = static_cast<int32_t>(reading.n_tiles);
    result.info.n_prompt_tokens =
        static_cast<int32_t>(n_prompt_tokens) * static_cast<int32_t>(reading.n_tiles);
    result.info.image_ms += reading.layout_ms;
    place_lines(reading, result);
}

void give_part(const std::vector<crispvl_placed_part>& parts, size_t i, crispvl_text_part* out,
               size_t struct_size) {
    deref(out, "a place for the part");
    if (i >= parts.size()) {
        throw Error(ErrorKind::argument,
                    "[result] expected a number below " + std::to_string(parts.size()) +
                        "; found " + std::to_string(i) + "; see n_lines and n_words of the info");
    }
    crispvl_text_part part = parts[i].known;
    part.text = parts[i].text.c_str();
    write_struct(part, out, struct_size);
}

}  // namespace

void read_lines(const crispvl_model& model, const crispvl_image* image,
                const crispvl_recognize_params& params, crispvl_result& result) {
    Clock clock;
    RgbImage page = open_image(image);
    check_readable(page.width, page.height);
    // Not used, but refused where they are out of range.
    choose_grid(page.width, page.height,
                tiling_config(model.core->config(), params.min_tiles, params.max_tiles,
                              /*alone=*/true));
    result.info.damaged = static_cast<int32_t>(page.is_damaged);
    result.info.width_px = static_cast<int32_t>(page.width);
    result.info.height_px = static_cast<int32_t>(page.height);
    result.info.layout = CRISPVL_LAYOUT_LINES;
    clock.lap(result.info.image_ms);
    LineRequest request{
        ask_for_lines(model), sampling_options(params),
        params.max_tokens == 0 ? std::numeric_limits<int64_t>::max() : params.max_tokens,
        number_of(params.task) == CRISPVL_TASK_MARKDOWN ? lines::WriteAs::markdown
                                                        : lines::WriteAs::text};
    CancelInterrupt interrupt(params.cancel);
    LineReading reading;
    try {
        read_by_lines(model.core, *model.prompts, std::move(page), request,
                      reading_callbacks(params), &interrupt, reading);
    } catch (const Error&) {
        keep(reading, request.prompt_ids.size(), result);
        throw;
    }
    keep(reading, request.prompt_ids.size(), result);
}

}  // namespace crispvl::capi

using namespace crispvl;
using namespace crispvl::capi;

crispvl_status crispvl_result_get_line(const crispvl_result* result, size_t i,
                                       crispvl_text_part* line, size_t struct_size) {
    return guarded([&] { give_part(deref(result, "a result").lines, i, line, struct_size); });
}

crispvl_status crispvl_result_get_word(const crispvl_result* result, size_t i,
                                       crispvl_text_part* word, size_t struct_size) {
    return guarded([&] { give_part(deref(result, "a result").words, i, word, struct_size); });
}
