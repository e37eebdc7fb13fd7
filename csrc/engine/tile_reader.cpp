#include "engine/tile_reader.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/interrupt.h"
#include "base/utf8.h"
#include "engine/clock.h"
#include "engine/decode.h"
#include "engine/generate.h"
#include "engine/prefill.h"
#include "model/routing.h"

namespace crispvl {
namespace {

// Most answers under way: a pass of more tokens takes the way of prompts.
constexpr size_t kMostPlaces = 16;

// Most memory that the KV caches of the answers under way take together, unless one is alone.
constexpr size_t kMostCacheBytes = size_t{1} << 30;

}  // namespace

struct TileReader::Encoded {
    size_t i_tile;
    RoutedPrompt prompt;
    int64_t max_tokens;

    int64_t n_tokens() const { return static_cast<int64_t>(prompt.ids.size()) + max_tokens; }
};

struct TileReader::UnderWay {
    UnderWay(const TileReader& reader, const Encoded& tile)
        : i_tile(tile.i_tile),
          session(reader.model_, tile.n_tokens()),
          answer(
              session, reader.prompts_, {reader.sampling_, tile.max_tokens, /*stop_at_eos=*/true},
              [this](const GeneratedToken& token) {
                  if (token.id >= 0) {
                      rows.push(token.id, static_cast<double>(token.logprob),
                                to_code_points(token.text));
                  }
                  return true;
              },
              generation) {}

    TileAnswer result() {
        std::optional<double> stop_logprob;
        if (generation.finish == Finish::stop) stop_logprob = generation.stop_logprob;
        return {i_tile, rows.finish(stop_logprob), generation.finish};
    }

    size_t i_tile;
    Session session;
    Generation generation;
    lines::RowSplitter rows;
    Answer answer;
};

TileReader::TileReader(std::shared_ptr<const Model> model, const PromptBuilder& prompts,
                       std::vector<int32_t> prompt_ids, const SamplingOptions& sampling,
                       Interrupt* interrupt)
    : model_(std::move(model)),
      prompts_(prompts),
      prompt_ids_(std::move(prompt_ids)),
      sampling_(sampling),
      interrupt_(interrupt) {}

TileReader::~TileReader() = default;

void TileReader::read(size_t n_tiles, const std::function<TileQuestion(size_t)>& draw,
                      const std::function<bool(TileAnswer)>& take) {
    under_way_.clear();
    encoded_.clear();
    for (size_t i_next = 0; i_next < n_tiles || !encoded_.empty() || !under_way_.empty();) {
        throw_if_requested(interrupt_);
        while (under_way_.size() < kMostPlaces && (i_next < n_tiles || !encoded_.empty())) {
            if (encoded_.empty()) {
                const auto n_group =
                    static_cast<size_t>(model_->config().router ? 1 : model_->tiles_per_graph());
                const size_t n = std::min(n_group, n_tiles - i_next);
                encode(i_next, n, draw);
                i_next += n;
            }
            if (!has_room()) break;
            begin();
        }
        for (const std::unique_ptr<UnderWay>& ended : choose()) {
            if (!take(ended->result())) return;
        }
        if (!under_way_.empty()) append();
    }
}

void TileReader::encode(size_t i_first, size_t n_tiles,
                        const std::function<TileQuestion(size_t)>& draw) {
    std::vector<uint8_t> pixels;
    std::vector<int64_t> budgets;
    for (size_t i = i_first; i < i_first + n_tiles; ++i) {
        throw_if_requested(interrupt_);
        const TileQuestion tile = draw(i);
        pixels.insert(pixels.end(), tile.pixels.begin(), tile.pixels.end());
        budgets.push_back(token_budget(model_->config(), prompt_ids_, tile.max_tokens));
    }
    Clock clock;
    if (model_->config().router) {
        const TileVariants variants =
            model_->encode_variants(pixels.data(), 1, interrupt_, TileProgress());
        encoded_.push_back({i_first, route(model_->config(), prompt_ids_, variants), budgets[0]});
    } else {
        const std::vector<float> rows = model_->encode(pixels.data(), static_cast<int64_t>(n_tiles),
                                                       interrupt_, TileProgress());
        const auto n_values = static_cast<std::ptrdiff_t>(rows.size() / n_tiles);
        for (size_t i = 0; i < n_tiles; ++i) {
            const auto from = rows.begin() + static_cast<std::ptrdiff_t>(i) * n_values;
            encoded_.push_back({i_first + i, {prompt_ids_, {from, from + n_values}}, budgets[i]});
        }
    }
    clock.lap(encode_ms);
}

bool TileReader::has_room() const {
    int64_t n_tokens = encoded_.front().n_tokens();
    for (const std::unique_ptr<UnderWay>& tile : under_way_) n_tokens += tile->session.n_ctx();
    return under_way_.empty() ||
           static_cast<size_t>(n_tokens) * model_->kv_bytes_per_token() <= kMostCacheBytes;
}

void TileReader::begin() {
    Clock clock;
    const Encoded tile = std::move(encoded_.front());
    encoded_.pop_front();
    under_way_.push_back(std::make_unique<UnderWay>(*this, tile));
    const std::vector<float>& rows = tile.prompt.rows;
    prefill(under_way_.back()->session, tile.prompt.ids, rows.data(),
            static_cast<int64_t>(rows.size()) / model_->config().decoder.width, interrupt_);
    clock.lap(prefill_ms);
}

std::vector<std::unique_ptr<TileReader::UnderWay>> TileReader::choose() {
    Clock clock;
    std::vector<std::unique_ptr<UnderWay>> ended;
    for (std::unique_ptr<UnderWay>& tile : under_way_) {
        if (!tile->answer.choose()) ended.push_back(std::move(tile));
    }
    under_way_.erase(std::remove(under_way_.begin(), under_way_.end(), nullptr), under_way_.end());
    clock.lap(decode_ms);
    return ended;
}

void TileReader::append() {
    Clock clock;
    std::vector<Session*> sessions;
    std::vector<std::vector<int32_t>> ids;
    for (const std::unique_ptr<UnderWay>& tile : under_way_) {
        sessions.push_back(&tile->session);
        ids.push_back({tile->answer.token()});
    }
    decode_batch(sessions, ids, interrupt_);
    clock.lap(decode_ms);
}

}  // namespace crispvl
