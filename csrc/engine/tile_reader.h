// One question about many tiles: their answers are written together, in one pass over the weights
// for a token of each.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/answer.h"
#include "lines/rows.h"

namespace crispvl {

// A tile to be read.
struct TileQuestion {
    std::vector<uint8_t> pixels;  // [tile_px, tile_px, 3]
    int64_t max_tokens;           // most of its answer
};

struct TileAnswer {
    size_t i_tile;
    std::vector<lines::Row> rows;  // as many as the answer has lines
    Finish finish;                 // all rows are whole only where it is `stop`
};

class TileReader {
public:
    // `prompt_ids`: of the question about one tile. All that is given has to outlive the reader;
    // `interrupt` may be null.
    TileReader(std::shared_ptr<const Model> model, const PromptBuilder& prompts,
               std::vector<int32_t> prompt_ids, const SamplingOptions& sampling,
               Interrupt* interrupt);

    // Draws the tiles 0 to n - 1 as they are needed and gives each answer to `take`, as it ends; it
    // returns whether more are wanted. A small model reads with a thread for each core; `take` is
    // called by the caller's thread, `draw` by one at a time, and `interrupt` is asked by all.
    // Throws Error{cancelled, context_overflow, memory, device}.
    void read(size_t n_tiles, const std::function<TileQuestion(size_t)>& draw,
              const std::function<bool(TileAnswer)>& take);

    // What reading took so far, of all threads together. Drawing and taking are not part of it.
    double encode_ms = 0, prefill_ms = 0, decode_ms = 0;

private:
    struct Encoded;   // a tile whose image tokens are known
    struct UnderWay;  // a tile whose answer is being written
    class Lane;
    class Shared;
    struct Tile {
        size_t number;
        TileQuestion question;
    };

    std::shared_ptr<const Model> model_;
    const PromptBuilder& prompts_;
    std::vector<int32_t> prompt_ids_;
    SamplingOptions sampling_;
    Interrupt* interrupt_;
};

}  // namespace crispvl
