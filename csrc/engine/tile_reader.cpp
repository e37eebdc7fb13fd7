#include "engine/tile_reader.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>

#include "base/interrupt.h"
#include "base/parallel.h"
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

// What one thread reads: tiles that it takes one after another, several of them under way at once.
class TileReader::Lane {
public:
    Lane(const TileReader& reader, size_t n_places, size_t most_cache_bytes)
        : reader_(reader), n_places_(n_places), most_cache_bytes_(most_cache_bytes) {}

    // Begins what there is room for, and writes a token of each answer under way; returns the
    // answers that have ended. `next` gives up to some number of the tiles that are left.
    std::vector<TileAnswer> step(const std::function<std::vector<Tile>(size_t)>& next) {
        throw_if_requested(reader_.interrupt_);
        while (under_way_.size() < n_places_) {
            if (encoded_.empty()) encode(next(n_group()));
            if (encoded_.empty() || !has_room()) break;
            begin();
        }
        std::vector<TileAnswer> ended = choose();
        if (!under_way_.empty()) append();
        return ended;
    }
    bool is_idle() const { return under_way_.empty() && encoded_.empty(); }

    double encode_ms = 0, prefill_ms = 0, decode_ms = 0;

private:
    const Model& model() const { return *reader_.model_; }
    size_t n_group() const;
    void encode(const std::vector<Tile>& tiles);
    bool has_room() const;
    void begin();
    std::vector<TileAnswer> choose();
    void append();

    const TileReader& reader_;
    size_t n_places_, most_cache_bytes_;
    std::deque<Encoded> encoded_;
    std::vector<std::unique_ptr<UnderWay>> under_way_;
};

// A thread that is not alone takes tiles one by one, so that all end together.
size_t TileReader::Lane::n_group() const {
    const bool is_one_by_one = model().config().router || n_places_ < kMostPlaces;
    return is_one_by_one ? 1 : static_cast<size_t>(model().tiles_per_graph());
}

void TileReader::Lane::encode(const std::vector<Tile>& tiles) {
    if (tiles.empty()) return;
    std::vector<uint8_t> pixels;
    std::vector<int64_t> budgets;
    for (const Tile& tile : tiles) {
        pixels.insert(pixels.end(), tile.question.pixels.begin(), tile.question.pixels.end());
        budgets.push_back(
            token_budget(model().config(), reader_.prompt_ids_, tile.question.max_tokens));
    }
    Clock clock;
    if (model().config().router) {
        const TileVariants variants =
            model().encode_variants(pixels.data(), 1, reader_.interrupt_, TileProgress());
        encoded_.push_back(
            {tiles[0].number, route(model().config(), reader_.prompt_ids_, variants), budgets[0]});
    } else {
        const std::vector<float> rows = model().encode(
            pixels.data(), static_cast<int64_t>(tiles.size()), reader_.interrupt_, TileProgress());
        const auto n_values = static_cast<std::ptrdiff_t>(rows.size() / tiles.size());
        for (size_t i = 0; i < tiles.size(); ++i) {
            const auto from = rows.begin() + static_cast<std::ptrdiff_t>(i) * n_values;
            encoded_.push_back(
                {tiles[i].number, {reader_.prompt_ids_, {from, from + n_values}}, budgets[i]});
        }
    }
    clock.lap(encode_ms);
}

bool TileReader::Lane::has_room() const {
    int64_t n_tokens = encoded_.front().n_tokens();
    for (const std::unique_ptr<UnderWay>& tile : under_way_) n_tokens += tile->session.n_ctx();
    return under_way_.empty() ||
           static_cast<size_t>(n_tokens) * model().kv_bytes_per_token() <= most_cache_bytes_;
}

void TileReader::Lane::begin() {
    Clock clock;
    const Encoded tile = std::move(encoded_.front());
    encoded_.pop_front();
    under_way_.push_back(std::make_unique<UnderWay>(reader_, tile));
    const std::vector<float>& rows = tile.prompt.rows;
    prefill(under_way_.back()->session, tile.prompt.ids, rows.data(),
            static_cast<int64_t>(rows.size()) / model().config().decoder.width, reader_.interrupt_);
    clock.lap(prefill_ms);
}

// Chooses a token for each answer; returns those that have ended.
std::vector<TileAnswer> TileReader::Lane::choose() {
    Clock clock;
    std::vector<TileAnswer> ended;
    for (std::unique_ptr<UnderWay>& tile : under_way_) {
        if (tile->answer.choose()) continue;
        ended.push_back(tile->result());
        tile.reset();
    }
    under_way_.erase(std::remove(under_way_.begin(), under_way_.end(), nullptr), under_way_.end());
    clock.lap(decode_ms);
    return ended;
}

void TileReader::Lane::append() {
    Clock clock;
    std::vector<Session*> sessions;
    std::vector<std::vector<int32_t>> ids;
    for (const std::unique_ptr<UnderWay>& tile : under_way_) {
        sessions.push_back(&tile->session);
        ids.push_back({tile->answer.token()});
    }
    decode_batch(sessions, ids, reader_.interrupt_);
    clock.lap(decode_ms);
}

TileReader::TileReader(std::shared_ptr<const Model> model, const PromptBuilder& prompts,
                       std::vector<int32_t> prompt_ids, const SamplingOptions& sampling,
                       Interrupt* interrupt)
    : model_(std::move(model)),
      prompts_(prompts),
      prompt_ids_(std::move(prompt_ids)),
      sampling_(sampling),
      interrupt_(interrupt) {}

// What the threads of a reading have in common.
class TileReader::Shared {
public:
    Shared(size_t n_tiles, const std::function<TileQuestion(size_t)>& draw)
        : n_tiles_(n_tiles), draw_(draw) {}

    // Up to n of the tiles that are left.
    std::vector<Tile> next(size_t n) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::vector<Tile> tiles;
        for (; n > 0 && i_next_ < n_tiles_; --n, ++i_next_) {
            tiles.push_back({i_next_, draw_(i_next_)});
        }
        return tiles;
    }
    bool has_next() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return i_next_ < n_tiles_;
    }
    void put(std::vector<TileAnswer> ended) {
        const std::lock_guard<std::mutex> lock(mutex_);
        std::move(ended.begin(), ended.end(), std::back_inserter(answers_));
    }
    std::vector<TileAnswer> answers() {
        const std::lock_guard<std::mutex> lock(mutex_);
        return std::exchange(answers_, {});
    }

    std::atomic<bool> is_over = false;  // no more is wanted

private:
    size_t n_tiles_;
    const std::function<TileQuestion(size_t)>& draw_;
    std::mutex mutex_;
    size_t i_next_ = 0;
    std::vector<TileAnswer> answers_;  // that were not taken yet
};

void TileReader::read(size_t n_tiles, const std::function<TileQuestion(size_t)>& draw,
                      const std::function<bool(TileAnswer)>& take) {
    const size_t n_lanes =
        std::clamp<size_t>(static_cast<size_t>(model_->n_lanes()), 1, std::max<size_t>(1, n_tiles));
    Shared shared(n_tiles, draw);
    std::deque<Lane> lanes;  // they cannot be moved
    for (size_t i = 0; i < n_lanes; ++i) {
        lanes.emplace_back(*this, std::max<size_t>(1, kMostPlaces / n_lanes),
                           kMostCacheBytes / n_lanes);
    }
    const auto take_all = [&] {
        for (TileAnswer& answer : shared.answers()) {
            if (!shared.is_over && !take(std::move(answer))) shared.is_over = true;
        }
    };
    run_parallel(static_cast<int>(n_lanes), [&](int i_lane) {
        Lane& lane = lanes[static_cast<size_t>(i_lane)];
        try {
            while (!shared.is_over && (shared.has_next() || !lane.is_idle())) {
                shared.put(lane.step([&](size_t n) { return shared.next(n); }));
                if (i_lane == 0) take_all();
            }
        } catch (...) {
            shared.is_over = true;
            throw;
        }
    });
    take_all();
    for (const Lane& lane : lanes) {
        encode_ms += lane.encode_ms;
        prefill_ms += lane.prefill_ms;
        decode_ms += lane.decode_ms;
    }
}

}  // namespace crispvl
