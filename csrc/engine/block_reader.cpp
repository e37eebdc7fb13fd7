#include "engine/block_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/utf8.h"
#include "engine/clock.h"
#include "layout/regions.h"
#include "lines/characters.h"

namespace crispvl {
namespace {

constexpr const char* kBlockBreak = "\n\n";  // between the answers to two blocks
constexpr int64_t kMinSidePx = 8;            // of what is read; see check_readable()

// A part of the page, with white to its right or below, so that its tiles do not distort it.
RgbImage cut_out(const RgbImage& page, const Region& region, const TilingConfig& tiling) {
    const auto left = static_cast<int64_t>(region.left), top = static_cast<int64_t>(region.top);
    const int64_t width =
        std::max(static_cast<int64_t>(std::ceil(region.right)) - left, kMinSidePx);
    const int64_t height =
        std::max(static_cast<int64_t>(std::ceil(region.bottom)) - top, kMinSidePx);
    const Grid grid = choose_grid(width, height, tiling);
    const auto along = [](int64_t n, int64_t times, int64_t of) {
        return std::llround(static_cast<double>(n * times) / static_cast<double>(of));
    };
    RgbImage filled(std::max<int64_t>(width, along(height, grid.columns, grid.rows)),
                    std::max<int64_t>(height, along(width, grid.rows, grid.columns)));
    std::fill(filled.pixels.begin(), filled.pixels.end(), uint8_t{255});
    const int64_t n_columns = std::min(width, page.width - left);
    for (int64_t y = 0; y < std::min(height, page.height - top); ++y) {
        const auto from = page.pixels.begin() + 3 * ((top + y) * page.width + left);
        std::copy(from, from + 3 * n_columns, filled.pixels.begin() + 3 * y * filled.width);
    }
    return filled;
}

std::vector<Tiles> blocks_of(const RgbImage& page, const BlockRequest& request) {
    const TilingConfig& tiling = request.tiling;
    if (is_legible(request.layout, tiling)) return {tile_image(page, tiling)};
    std::vector<Tiles> blocks;
    for (const Region& region : find_regions(request.layout, tiling)) {
        blocks.push_back(tile_image(cut_out(page, region, tiling), tiling));
    }
    return blocks;
}

class BlockReader {
public:
    BlockReader(std::shared_ptr<const Model> model, const PromptBuilder& prompts,
                const BlockRequest& request, const ReadingCallbacks& callbacks,
                Interrupt* interrupt, BlockReading& reading)
        : model_(std::move(model)),
          prompts_(prompts),
          request_(request),
          callbacks_(callbacks),
          interrupt_(interrupt),
          reading_(reading) {}

    void read(const RgbImage& page) {
        Clock clock;
        const std::vector<Tiles> blocks = blocks_of(page, request_);
        clock.lap(reading_.image_ms);
        for (const Tiles& block : blocks) n_all_ += block.n_tiles;
        Finish finish = Finish::stop;
        for (const Tiles& block : blocks) {
            const Finish ended = answer(block);
            if (finish == Finish::stop) finish = ended;
            if (finish == Finish::cancelled) break;
            if (n_tokens_ >= request_.options.max_tokens) {
                finish = Finish::length;
                break;
            }
        }
        reading_.generation.finish = finish;
    }

private:
    // Returns how the block's answer ended, or whether the caller wants no more.
    Finish answer(const Tiles& block) {
        const ImageConfig& image = model_->config().image;
        GenerateRequest asked;
        asked.options = request_.options;
        asked.options.max_tokens -= n_tokens_;
        asked.tiles = block.pixels;
        asked.n_tiles = block.n_tiles;
        asked.prompt_ids = prompts_.build({{"user", {{true, {}}, {false, request_.question}}}},
                                          {block.n_tiles * image.tokens_per_tile});
        Generation written;
        try {
            generate(model_, prompts_, asked, {}, interrupt_, written);
        } catch (const Error&) {
            add(written);
            throw;
        }
        reading_.n_tiles += block.n_tiles;
        reading_.n_prompt_tokens += static_cast<int64_t>(asked.prompt_ids.size());
        if (callbacks_.on_tiles) callbacks_.on_tiles(reading_.n_tiles, n_all_);
        const std::string text = add(written);
        const bool goes_on = text.empty() || !callbacks_.on_text || callbacks_.on_text(text);
        return goes_on ? written.finish : Finish::cancelled;
    }

    // Returns what an answer adds to the text.
    std::string add(const Generation& written) {
        Generation& all = reading_.generation;
        n_tokens_ += static_cast<int64_t>(written.ids.size());
        all.encode_ms += written.encode_ms;
        all.prefill_ms += written.prefill_ms;
        all.decode_ms += written.decode_ms;
        if (is_white(written.text)) return {};
        const std::string text = (all.text.empty() ? "" : kBlockBreak) + written.text;
        all.text += text;
        all.ids.insert(all.ids.end(), written.ids.begin(), written.ids.end());
        all.logprobs.insert(all.logprobs.end(), written.logprobs.begin(), written.logprobs.end());
        return text;
    }

    std::shared_ptr<const Model> model_;
    const PromptBuilder& prompts_;
    const BlockRequest& request_;
    const ReadingCallbacks& callbacks_;
    Interrupt* interrupt_;
    BlockReading& reading_;
    int64_t n_all_ = 0;     // tiles of all blocks
    int64_t n_tokens_ = 0;  // of the answers so far
};

}  // namespace

bool is_white(const std::string& utf8) {
    const std::u32string text = to_code_points(utf8);
    return std::all_of(text.begin(), text.end(), lines::is_space);
}

void read_by_blocks(const std::shared_ptr<const Model>& model, const PromptBuilder& prompts,
                    const RgbImage& page, const BlockRequest& request,
                    const ReadingCallbacks& callbacks, Interrupt* interrupt,
                    BlockReading& reading) {
    BlockReader(model, prompts, request, callbacks, interrupt, reading).read(page);
}

}  // namespace crispvl
