// Decisions coded by their probability (RFC 6386, section 7).
#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl::vp8 {

class Bools {
public:
    Bools() = default;
    Bools(const uint8_t* data, size_t n_bytes) : at_(data), end_(data + n_bytes) {}

    // `odds`: 256ths in which it is false.
    bool take(uint32_t odds) {
        if (n_spare_ < 0) {
            value_ = value_ << 8 | next();
            n_spare_ += 8;
        }
        const uint32_t split = 1 + ((range_ - 1) * odds >> 8);
        const bool is_true = value_ >= split << n_spare_;
        if (is_true) value_ -= split << n_spare_;
        range_ = is_true ? range_ - split : split;
        for (; range_ < 128; range_ <<= 1) --n_spare_;
        return is_true;
    }
    bool take() { return take(128); }
    uint32_t number(int n_bits) {
        uint32_t value = 0;
        while (n_bits-- > 0) value = value << 1 | static_cast<uint32_t>(take());
        return value;
    }
    void skip_if_there(int n_bits) {
        if (take()) number(n_bits);
    }

    size_t n_left() const { return static_cast<size_t>(end_ - at_); }
    size_t n_beyond() const { return n_beyond_; }  // bytes, asked for and not there

private:
    uint32_t next() {
        if (at_ < end_) return *at_++;
        ++n_beyond_;
        return 0;
    }

    const uint8_t *at_ = nullptr, *end_ = nullptr;
    uint32_t value_ = 0, range_ = 255;
    int n_spare_ = -8;  // bits of the value below those that are compared
    size_t n_beyond_ = 0;
};

}  // namespace crispvl::vp8
