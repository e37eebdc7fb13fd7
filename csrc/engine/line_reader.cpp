#include "engine/line_reader.h"

#include <algorithm>
#include <utility>

#include "base/interrupt.h"
#include "base/utf8.h"
#include "engine/clock.h"
#include "engine/tile_reader.h"
#include "gguf/schema.h"
#include "lines/beginning.h"
#include "lines/legible.h"
#include "lines/page_strips.h"

namespace crispvl {
namespace {

// Most tokens of the answer to one tile, whatever its strips.
constexpr int64_t kMostTileTokens = 2048;

lines::StripFormat strip_format_of(const Model& model) {
    const ModelSource& source = model.source();
    const auto hint = [&](const char* key) {
        return source.has(key) ? std::optional<int64_t>(source.integer(key)) : std::nullopt;
    };
    return lines::strip_format(
        model.config().vision.tile_px, model.config().image.tokens_per_tile,
        {hint(schema::kStripRows), hint(schema::kStripPitch), hint(schema::kStripHeight),
         hint(schema::kStripLeft), hint(schema::kStripGap)});
}

PixelView view_of(const layout::GreyImage& page) {
    return {page.pixels.data(), page.width, page.height, PixelFormat::grey,
            static_cast<size_t>(page.width)};
}

class LineReader {
public:
    LineReader(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
               RgbImage page, const LineRequest& request, const ReadingCallbacks& callbacks,
               Interrupt* interrupt, LineReading& reading)
        : request_(request),
          callbacks_(callbacks),
          interrupt_(interrupt),
          reading_(reading),
          page_(lines::legible(std::move(page))),
          layout_(find_layout(view_of(page_), interrupt)),
          strips_(view_of(page_), layout_.lines, strip_format_of(*model)),
          writer_(layout_, request.write_as),
          reader_(model, prompts, request.prompt_ids, request.sampling, interrupt) {
        clock_.lap(reading_.layout_ms);
    }

    void read() {
        for (const lines::Look& look : lines::kLooks) {
            show(look);
            if (is_over_) return;
        }
        write(/*only_settled=*/false);
        if (!is_over_) reading_.generation.finish = Finish::stop;
    }

    void tell_all() {
        Generation& all = reading_.generation;
        all.text = to_utf8(writer_.text());
        all.encode_ms = reader_.encode_ms;
        all.prefill_ms = reader_.prefill_ms;
        all.decode_ms = reader_.decode_ms;
        reading_.lines = writer_.lines();
    }

private:
    // Shows strips to the model, and takes what it reads.
    void show(const lines::Look& look) {
        const std::vector<lines::TileRows> tiles = strips_.shown_to(look);
        size_t n_read = 0;
        const auto draw = [&](size_t i) {
            Clock clock;
            lines::StripTile tile = strips_.tile(tiles[i], look.drawing);
            const int64_t n_most = std::min(tile.most_tokens(), kMostTileTokens);
            clock.lap(reading_.layout_ms);
            return TileQuestion{std::move(tile.pixels), n_most};
        };
        const auto take = [&](TileAnswer answer) {
            const bool is_whole = answer.finish == Finish::stop;
            strips_.take(tiles[answer.i_tile], answer.rows, is_whole);
            ++reading_.n_tiles;
            ++n_read;
            if (callbacks_.on_tiles) {
                callbacks_.on_tiles(static_cast<int64_t>(n_read),
                                    static_cast<int64_t>(tiles.size()));
            }
            write(/*only_settled=*/true);
            return !is_over_;
        };
        reader_.read(tiles.size(), draw, take);
    }

    // Adds what can be added to the text, as far as the limit of tokens allows.
    void write(bool only_settled) {
        for (std::vector<int> waiting; !is_over_ && !(waiting = writer_.waiting()).empty();) {
            throw_if_requested(interrupt_);
            if (only_settled && !strips_.settled(waiting)) return;
            lines::ReadLines read;
            for (const int i_line : waiting) {
                read.emplace(i_line, keep(strips_.join(i_line)));
                if (is_over_) break;
            }
            const size_t n_before = writer_.text().size();
            writer_.put(read);
            if (writer_.text().size() > n_before) tell(writer_.text().substr(n_before));
        }
    }

    // Counts a line's tokens; returns what is within the limit.
    lines::ReadLine keep(lines::ReadLine line) {
        Generation& all = reading_.generation;
        const auto n_left = static_cast<size_t>(request_.max_tokens) - all.ids.size();
        if (line.n_tokens() > n_left) {
            end(Finish::length);
            line = lines::beginning_of(line, n_left);
        }
        for (const lines::Row& row : line.rows) {
            all.ids.insert(all.ids.end(), row.ids.begin(), row.ids.end());
            for (const double logprob : row.logprobs) {
                all.logprobs.push_back(static_cast<float>(logprob));
            }
        }
        return line;
    }

    void tell(const std::u32string& text) {
        if (callbacks_.on_text && !callbacks_.on_text(to_utf8(text))) end(Finish::cancelled);
    }

    void end(Finish finish) {
        reading_.generation.finish = finish;
        is_over_ = true;
    }

    const LineRequest& request_;
    const ReadingCallbacks& callbacks_;
    Interrupt* interrupt_;
    LineReading& reading_;
    Clock clock_;
    layout::GreyImage page_;
    Layout layout_;
    lines::PageStrips strips_;
    lines::PageWriter writer_;
    TileReader reader_;
    bool is_over_ = false;
};

}  // namespace

bool reads_by_lines(const Model& model) {
    const ModelSource& source = model.source();
    return source.has(schema::kReadingLayout) && source.text(schema::kReadingLayout) == "lines";
}

void read_by_lines(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
                   RgbImage page, const LineRequest& request, const ReadingCallbacks& callbacks,
                   Interrupt* interrupt, LineReading& reading) {
    LineReader reader(model, prompts, std::move(page), request, callbacks, interrupt, reading);
    try {
        reader.read();
    } catch (const Error&) {
        reader.tell_all();
        throw;
    }
    reader.tell_all();
}

}  // namespace crispvl
