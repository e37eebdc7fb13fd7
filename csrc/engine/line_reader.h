// Reads a page by its lines: found, cut into strips, read many at a time, joined again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/answer.h"
#include "engine/reading.h"
#include "image/pixels.h"
#include "lines/page_writer.h"

namespace crispvl {

// Whether a model was made to read pages by their lines, as its file says.
bool reads_by_lines(const Model& model);

struct LineRequest {
    std::vector<int32_t> prompt_ids;  // of the question about one tile of strips
    SamplingOptions sampling;
    int64_t max_tokens;  // most tokens of the whole text
    lines::WriteAs write_as = lines::WriteAs::text;
};

struct LineReading {
    Generation generation;  // all of the text as one answer, without what was read again
    std::vector<lines::PlacedLine> lines;  // in the order of the text; places count its characters
    int64_t n_tiles = 0;                   // read so far
    double layout_ms = 0;                  // finding lines, drawing strips
};

// Writes what was read into `reading`, also where it throws. The page is used up. `interrupt` may
// be null. Throws Error{cancelled, context_overflow, memory, device, model_file}.
void read_by_lines(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
                   RgbImage page, const LineRequest& request, const ReadingCallbacks& callbacks,
                   Interrupt* interrupt, LineReading& reading);

}  // namespace crispvl
