#include "image/fax_damage.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "image/fax_codes.h"

namespace crispvl {
namespace {

constexpr size_t kMarkZeros = 11;  // an end of line is at least as many zeros, and a one
constexpr int64_t kStep = 64, kLongestStep = 2560;

class Bits {
public:
    Bits(const uint8_t* data, size_t n_bytes) : data_(data), n_bits_(8 * n_bytes) {}

    bool take(std::string_view code) {
        for (const char bit : code) {
            if (at_ >= n_bits_ || get(at_) != (bit == '1')) return false;
            ++at_;
        }
        return true;
    }
    void align() { at_ = (at_ + 7) / 8 * 8; }
    // Passes over an end of line with what fills up the space before it, if it is next.
    bool take_mark() {
        size_t at = at_;
        while (at < n_bits_ && !get(at)) ++at;
        if (at >= n_bits_ || at - at_ < kMarkZeros) return false;
        at_ = at + 1;
        return true;
    }

private:
    bool get(size_t at) const { return (data_[at / 8] >> (7 - at % 8) & 1) != 0; }

    const uint8_t* data_;
    size_t n_bits_, at_ = 0;
};

// Where a row changes its colour: first to black, then to white, and so on.
class Changes {
public:
    Changes(const uint8_t* row, int64_t width) : width_(width) {
        bool is_black = false;
        for (int64_t x = 0; x < width; ++x) {
            if ((row[x] != 0) != is_black) {
                places_.push_back(x);
                is_black = !is_black;
            }
        }
    }
    explicit Changes(int64_t width) : width_(width) {}  // of a white row

    // The first change to the other colour at `least` or behind it, and its number.
    size_t find(bool is_black, int64_t least) const {
        const auto from = std::lower_bound(places_.begin(), places_.end(), least);
        const size_t i = static_cast<size_t>(from - places_.begin());
        return i % 2 == (is_black ? 1u : 0u) ? i : i + 1;
    }
    int64_t place(size_t i) const { return i < places_.size() ? places_[i] : width_; }

private:
    std::vector<int64_t> places_;
    int64_t width_;
};

bool takes_run(Bits& bits, bool is_black, int64_t n_px) {
    const size_t colour = is_black ? 1 : 0;
    for (; n_px >= kLongestStep + kStep; n_px -= kLongestStep) {
        if (!bits.take(kFaxLongSteps.back())) return false;
    }
    if (const size_t n_steps = static_cast<size_t>(n_px / kStep); n_steps > 0) {
        const auto& steps = kFaxSteps[colour];
        const bool is_long = n_steps > steps.size();
        const std::string_view code =
            is_long ? kFaxLongSteps[n_steps - steps.size() - 1] : steps[n_steps - 1];
        if (!bits.take(code)) return false;
    }
    return bits.take(kFaxEnds[colour][static_cast<size_t>(n_px % kStep)]);
}

bool takes_runs(Bits& bits, const Changes& row, int64_t width) {
    bool is_black = false;
    size_t i = 0;
    for (int64_t at = 0; at < width; is_black = !is_black) {
        const int64_t end = row.place(i++);
        if (!takes_run(bits, is_black, end - at)) return false;
        at = end;
    }
    return true;
}

// ITU-T T.4, 4.2.1.3: a0, a1 and a2 are changes of the row, b1 and b2 of the one above.
bool takes_differences(Bits& bits, const Changes& row, const Changes& above, int64_t width) {
    bool is_black = false;
    for (int64_t a0 = -1; a0 < width;) {
        const size_t i_a1 = row.find(is_black, a0 + 1);
        const size_t i_b1 = above.find(is_black, a0 + 1);
        const int64_t a1 = row.place(i_a1), b1 = above.place(i_b1), b2 = above.place(i_b1 + 1);
        if (b2 < a1) {
            if (!bits.take(kFaxPass)) return false;
            a0 = b2;
        } else if (std::abs(a1 - b1) <= 3) {
            if (!bits.take(kFaxVertical[static_cast<size_t>(a1 - b1 + 3)])) return false;
            a0 = a1;
            is_black = !is_black;
        } else {
            const int64_t a2 = row.place(i_a1 + 1);
            const bool is_right = bits.take(kFaxHorizontal) &&
                                  takes_run(bits, is_black, a1 - std::max<int64_t>(0, a0)) &&
                                  takes_run(bits, !is_black, a2 - a1);
            if (!is_right) return false;
            a0 = a2;
        }
    }
    return true;
}

// Whether the next row is written in one dimension, once its mark is passed over.
bool begins_runs(Bits& bits, const FaxForm& form) {
    if (form.is_aligned) bits.align();
    if (form.group == FaxGroup::group4) return false;
    if (form.group == FaxGroup::group3) bits.take_mark();
    return !form.has_two_dimensions || !bits.take("0");
}

}  // namespace

bool fax_agrees(const uint8_t* data, size_t n_bytes, const uint8_t* pixels, int64_t width,
                int64_t height, const FaxForm& form) {
    Bits bits(data, n_bytes);
    Changes above(width);
    for (int64_t y = 0; y < height; ++y) {
        Changes row(pixels + y * width, width);
        const bool in_runs = begins_runs(bits, form);
        if (in_runs && form.has_two_dimensions && !bits.take("1")) return false;
        const bool is_right =
            in_runs ? takes_runs(bits, row, width) : takes_differences(bits, row, above, width);
        if (!is_right) return false;
        above = std::move(row);
    }
    return true;
}

}  // namespace crispvl
