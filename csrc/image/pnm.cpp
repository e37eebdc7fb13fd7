#include "image/pnm.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace crispvl {
namespace {

constexpr int64_t kMaxValue = 65535;  // of a sample

bool is_space(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool is_digit(uint8_t c) {
    return c >= '0' && c <= '9';
}

class Reader {
public:
    Reader(const uint8_t* data, size_t n_bytes) : data_(data), n_bytes_(n_bytes) {}

    bool has(size_t n) const { return n <= n_bytes_ - at_; }
    uint8_t byte() {
        if (!has(1)) throw damaged_image("it breaks off");
        return data_[at_++];
    }
    // The next digit, after white space and comments.
    int64_t digit() {
        uint8_t c = byte();
        while (!is_digit(c)) {
            if (c == '#') {
                while (c != '\n' && c != '\r') c = byte();
            } else if (!is_space(c)) {
                throw damaged_image("a number is malformed");
            }
            c = byte();
        }
        return c - '0';
    }
    int64_t number(int64_t most) {
        int64_t value = digit();
        while (value <= most && has(1) && is_digit(data_[at_])) value = value * 10 + byte() - '0';
        if (value > most) throw damaged_image("a number is above " + std::to_string(most));
        return value;
    }

private:
    const uint8_t* data_;
    size_t n_bytes_, at_ = 2;  // after the kind
};

struct Header {
    Header(Reader& in, int kind)
        : is_plain(kind <= 3),
          is_bits(kind % 3 == 1),
          n_channels(kind % 3 == 0 ? 3 : 1),
          width(in.number(kMaxPixels)),
          height(in.number(kMaxPixels)),
          most(is_bits ? 1 : in.number(kMaxValue)) {
        check_size(width, height);
        if (most == 0) throw damaged_image("its largest value is 0");
        if (!is_plain && !is_space(in.byte())) throw damaged_image("a number is malformed");
    }
    // At least: a plain sample is a digit or more.
    size_t data_bytes() const {
        const int64_t n_row = width * n_channels;
        if (is_plain) return static_cast<size_t>(n_row * height);
        const int64_t row_bytes = is_bits ? (n_row + 7) / 8 : most > 255 ? 2 * n_row : n_row;
        return static_cast<size_t>(row_bytes * height);
    }

    bool is_plain, is_bits;
    int n_channels;
    int64_t width, height;  // px
    int64_t most;           // the largest value
};

// The 8-bit level of each value. Halves round to even, as in Python; wide grey goes by way of 16
// bits, as in crispvl.inputs.images.
std::vector<uint8_t> levels_of(const Header& header) {
    if (header.is_bits) return {255, 0};
    const bool is_wide_grey = header.most > 255 && header.n_channels == 1;
    std::vector<uint8_t> levels;
    for (int64_t value = 0; value <= header.most; ++value) {
        const double share = static_cast<double>(value) / static_cast<double>(header.most);
        const int level = static_cast<int>(std::nearbyint(share * (is_wide_grey ? 65535 : 255)));
        levels.push_back(static_cast<uint8_t>(is_wide_grey ? (level + 128) / 257 : level));
    }
    return levels;
}

// Reads samples row by row.
class Samples {
public:
    Samples(Reader& in, const Header& header) : in_(in), header_(header) {}

    // `x` is the sample's place in its row.
    int64_t next(int64_t x) {
        if (header_.is_plain) return header_.is_bits ? in_.digit() : in_.number(header_.most);
        if (header_.is_bits) {
            if (x % 8 == 0) bits_ = in_.byte();
            return bits_ >> (7 - x % 8) & 1;
        }
        const int64_t high = header_.most > 255 ? in_.byte() : 0;
        return std::min(high << 8 | in_.byte(), header_.most);
    }

private:
    Reader& in_;
    const Header& header_;
    uint8_t bits_ = 0;  // of eight pixels
};

}  // namespace

bool is_pnm(const uint8_t* data, size_t n_bytes) {
    return n_bytes > 2 && data[0] == 'P' && data[1] >= '1' && data[1] <= '6' && is_space(data[2]);
}

RgbImage decode_pnm(const uint8_t* data, size_t n_bytes) {
    Reader in(data, n_bytes);
    const Header header(in, data[1] - '0');
    if (!in.has(header.data_bytes())) throw damaged_image("it breaks off");
    const std::vector<uint8_t> levels = levels_of(header);
    Samples samples(in, header);
    RgbImage image(header.width, header.height);
    uint8_t* to = image.pixels.data();
    for (int64_t y = 0; y < image.height; ++y) {
        for (int64_t x = 0; x < image.width * header.n_channels; ++x) {
            const size_t value = static_cast<size_t>(samples.next(x));
            if (value >= levels.size()) throw damaged_image("a bit is neither 0 nor 1");
            const int n_copies = 3 / header.n_channels;
            to = std::fill_n(to, n_copies, levels[value]);
        }
    }
    return image;
}

}  // namespace crispvl
