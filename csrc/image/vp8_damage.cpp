#include "image/vp8_damage.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <vector>

#include "image/bytes.h"
#include "image/vp8_bools.h"
#include "image/vp8_odds.h"

namespace crispvl {
namespace {

using vp8::Bools;

constexpr size_t kHeadBytes = 10;                 // of a key frame, before its first partition
constexpr size_t kMostLeft = 8, kMostBeyond = 2;  // bytes, by which encoders round partitions
constexpr int kGreatestLevel = 2048;
constexpr int kContexts = 3, kNodes = 11, kBands = 8;
constexpr int kNoLuma2 = 3, kLuma2 = 1, kAfterLuma2 = 0, kChroma = 2;  // kinds of blocks
constexpr uint8_t kDc = 0, kTrueMotion = 1, kVertical = 2, kHorizontal = 3;

constexpr std::array<uint8_t, 17> kBandOf = {0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0};

// What is known of a column, or of the row's last macroblock, for the next one's contexts.
struct Beside {
    std::array<uint8_t, 4> ways{};  // of prediction
    std::array<uint8_t, 8> has{};   // coefficients: four blocks of luma, two of each chroma
    uint8_t has_luma2 = 0;
};

struct Macroblock {
    bool is_whole = false;  // predicted as one, not as 16 subblocks
    bool is_empty = false;
};

// A key frame whose codes are gone through.
class Frame {
public:
    Frame(const uint8_t* data, size_t n_bytes) : bytes_(bytes_of(data, n_bytes, true)) {
        const size_t first_bytes = bytes_.integer(0, 3) >> 5;
        n_across_ = ((bytes_.integer(6, 2) & 0x3FFF) + 15) / 16;
        n_down_ = ((bytes_.integer(8, 2) & 0x3FFF) + 15) / 16;
        if (!bytes_.has(kHeadBytes, first_bytes)) return;
        head_ = Bools(data + kHeadBytes, first_bytes);
        read_head();
        is_whole_ = split(data, n_bytes, kHeadBytes + first_bytes);
    }

    bool is_damaged() {
        if (!is_whole_) return true;
        std::vector<Beside> above(n_across_);
        for (size_t y = 0; y < n_down_; ++y) {
            Bools& tokens = partitions_[y % partitions_.size()];
            Beside left;
            for (Beside& over : above) {
                const Macroblock block = read_ways(over, left);
                if (!read_coefficients(tokens, block, over, left)) return true;
            }
            if (head_.n_beyond() > kMostBeyond || tokens.n_beyond() > kMostBeyond) return true;
        }
        return head_.n_left() > kMostLeft ||
               std::any_of(partitions_.begin(), partitions_.end(),
                           [](const Bools& tokens) { return tokens.n_left() > kMostLeft; });
    }

private:
    void read_head() {
        head_.number(2);  // colours, clamping
        if (head_.take()) read_segments();
        head_.number(1 + 6 + 3);  // the filter
        if (head_.take() && head_.take()) {
            for (int i = 0; i < 8; ++i) head_.skip_if_there(6 + 1);
        }
        partitions_.resize(size_t{1} << head_.number(2));
        head_.number(7);  // quantisation
        for (int i = 0; i < 5; ++i) head_.skip_if_there(4 + 1);
        head_.take();
        for (size_t i = 0; i < odds_.size(); ++i) {
            if (head_.take(vp8::kUpdateOdds[i])) odds_[i] = static_cast<uint8_t>(head_.number(8));
        }
        may_be_empty_ = head_.take();
        if (may_be_empty_) empty_odds_ = head_.number(8);
    }

    void read_segments() {
        has_segments_ = head_.take();
        if (head_.take()) {
            head_.take();
            for (int i = 0; i < 4; ++i) head_.skip_if_there(7 + 1);
            for (int i = 0; i < 4; ++i) head_.skip_if_there(6 + 1);
        }
        if (!has_segments_) return;
        for (uint32_t& odds : segment_odds_) odds = head_.take() ? head_.number(8) : 255;
    }

    // Finds the partitions of coefficients; whether they are there.
    bool split(const uint8_t* data, size_t n_bytes, size_t at) {
        size_t begin = at + 3 * (partitions_.size() - 1);
        for (Bools& partition : partitions_) {
            const bool is_last = &partition == &partitions_.back();
            if (begin > n_bytes) return false;
            const size_t n = is_last ? n_bytes - begin : bytes_.integer(at, 3);
            if (!bytes_.has(begin, n)) return false;
            partition = Bools(data + begin, n);
            begin += n;
            at += 3;
        }
        return true;
    }

    Macroblock read_ways(Beside& above, Beside& left) {
        Macroblock block;
        if (has_segments_) head_.take(segment_odds_[head_.take(segment_odds_[0]) ? 2 : 1]);
        block.is_empty = may_be_empty_ && head_.take(empty_odds_);
        block.is_whole = head_.take(145);
        if (block.is_whole) {
            const uint8_t way = head_.take(156) ? (head_.take(128) ? kTrueMotion : kHorizontal)
                                                : (head_.take(163) ? kVertical : kDc);
            above.ways.fill(way);
            left.ways.fill(way);
        } else {
            for (uint8_t& beside : left.ways) {
                for (uint8_t& over : above.ways) over = beside = read_way(over, beside);
            }
        }
        if (head_.take(142) && head_.take(114)) head_.take(183);  // of the chroma
        return block;
    }

    uint8_t read_way(uint8_t above, uint8_t left) {
        const uint8_t* odds = &vp8::kSubblockOdds[(above * 10u + left) * 9u];
        const auto is = [&](int node) { return head_.take(odds[node]); };
        if (!is(0)) return kDc;
        if (!is(1)) return kTrueMotion;
        if (!is(2)) return kVertical;
        if (!is(3)) {
            if (!is(4)) return kHorizontal;
            return is(5) ? 5 : 4;
        }
        if (!is(6)) return 6;
        if (!is(7)) return 7;
        return is(8) ? 9 : 8;
    }

    // Whether all of them may be those of a picture.
    bool read_coefficients(Bools& tokens, const Macroblock& block, Beside& above, Beside& left) {
        if (block.is_empty) {
            above.has.fill(0);
            left.has.fill(0);
            if (block.is_whole) above.has_luma2 = left.has_luma2 = 0;
            return true;
        }
        if (block.is_whole) {
            const int n = count(tokens, kLuma2, above.has_luma2 + left.has_luma2, 0);
            above.has_luma2 = left.has_luma2 = n > 0;
        }
        const int kind = block.is_whole ? kAfterLuma2 : kNoLuma2, first = block.is_whole ? 1 : 0;
        return read_square(tokens, kind, first, {0, 4}, above, left) &&
               read_square(tokens, kChroma, 0, {4, 6}, above, left) &&
               read_square(tokens, kChroma, 0, {6, 8}, above, left) && !is_beyond_;
    }

    struct Range {
        size_t begin, end;
    };

    bool read_square(Bools& tokens, int kind, int first, Range range, Beside& above, Beside& left) {
        for (size_t y = range.begin; y < range.end; ++y) {
            for (size_t x = range.begin; x < range.end; ++x) {
                const int n = count(tokens, kind, above.has[x] + left.has[y], first);
                above.has[x] = left.has[y] = n > first;
            }
        }
        return tokens.n_beyond() <= kMostBeyond;
    }

    // How many coefficients of a block are given, those before the first included.
    int count(Bools& tokens, int kind, int context, int first) {
        for (int i = first; i < 16; ++i) {
            const uint8_t* odds = odds_of(kind, i, context);
            if (!tokens.take(odds[0])) return i;
            while (!tokens.take(odds[1])) {
                if (++i == 16) return 16;
                odds = odds_of(kind, i, 0);
            }
            const int level = read_level(tokens, odds);
            is_beyond_ |= level > kGreatestLevel;
            tokens.take();  // its sign
            context = std::min(level, 2);
        }
        return 16;
    }

    const uint8_t* odds_of(int kind, int i, int context) const {
        const int band = kBandOf[static_cast<size_t>(i)];
        return &odds_[static_cast<size_t>(((kind * kBands + band) * kContexts + context) * kNodes)];
    }

    // Of a coefficient that is not 0 (section 13.2).
    static int read_level(Bools& tokens, const uint8_t* odds) {
        if (!tokens.take(odds[2])) return 1;
        if (!tokens.take(odds[3])) {
            if (!tokens.take(odds[4])) return 2;
            return tokens.take(odds[5]) ? 4 : 3;
        }
        if (!tokens.take(odds[6])) {
            if (!tokens.take(odds[7])) return 5 + further(tokens, {159});
            return 7 + further(tokens, {165, 145});
        }
        if (!tokens.take(odds[8])) {
            if (!tokens.take(odds[9])) return 11 + further(tokens, {173, 148, 140});
            return 19 + further(tokens, {176, 155, 140, 135});
        }
        if (!tokens.take(odds[10])) return 35 + further(tokens, {180, 157, 141, 134, 130});
        return 67 + further(tokens, {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129});
    }

    static int further(Bools& tokens, std::initializer_list<uint32_t> odds) {
        int value = 0;
        for (const uint32_t each : odds) value = value << 1 | static_cast<int>(tokens.take(each));
        return value;
    }

    Bytes bytes_;
    size_t n_across_ = 0, n_down_ = 0;  // macroblocks
    Bools head_;                        // the first partition: all but coefficients
    std::vector<Bools> partitions_;
    vp8::CoefficientOdds odds_ = vp8::kCoefficientOdds;
    std::array<uint32_t, 3> segment_odds_{};
    uint32_t empty_odds_ = 0;
    bool has_segments_ = false, may_be_empty_ = false;
    bool is_whole_ = false;   // all partitions are there
    bool is_beyond_ = false;  // a coefficient is
};

}  // namespace

bool vp8_is_damaged(const uint8_t* data, size_t n_bytes) {
    if (n_bytes < kHeadBytes || (data[0] & 1) != 0) return false;  // no key frame
    return Frame(data, n_bytes).is_damaged();
}

}  // namespace crispvl
