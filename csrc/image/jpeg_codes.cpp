#include "image/jpeg_codes.h"

#include <algorithm>

namespace crispvl {
namespace {

constexpr int kSlackBytes = 4;  // zeros that encoders leave behind a scan

}  // namespace

size_t HuffmanTable::read(const Bytes& file, size_t at, size_t end) {
    entries.assign(size_t{1} << 16, Entry());
    size_t code = 0, symbol = at + 16;
    for (int length = 1; length <= 16; ++length) {
        const uint32_t n = file.integer(at + static_cast<size_t>(length) - 1, 1);
        const size_t span = size_t{1} << (16 - length);
        for (uint32_t i = 0; i < n; ++i, ++symbol, code += span) {
            if (code + span > entries.size() || symbol >= end) throw JpegDamage();
            std::fill_n(
                entries.begin() + static_cast<std::ptrdiff_t>(code), span,
                Entry{static_cast<uint8_t>(length), static_cast<uint8_t>(file.integer(symbol, 1))});
        }
    }
    return symbol;
}

void JpegBits::take_byte() {
    bits_ <<= 8;
    n_bits_ += 8;
    const bool is_marker = file_.integer(at_, 1) == 0xFF && file_.integer(at_ + 1, 1) != 0;
    if (!file_.has(at_, 1) || is_marker) {
        n_beyond_ += 8;
        return;
    }
    const uint32_t byte = file_.integer(at_, 1);
    bits_ |= byte;
    at_ += byte == 0xFF ? 2 : 1;
}

size_t JpegBits::finish() {
    const int n_padding = n_bits_ % 8;
    const uint64_t ones = (uint64_t{1} << n_padding) - 1;
    const uint64_t padding = n_bits_ > 0 ? bits_ >> (n_bits_ - n_padding) & ones : 0;
    if (padding != 0 && padding != ones) throw JpegDamage();  // F.1.2.3 says ones; some write zeros
    int n_zeros = 0;
    for (n_bits_ -= n_padding; n_bits_ > n_beyond_; n_bits_ -= 8, ++n_zeros) {
        if ((bits_ >> (n_bits_ - 8) & 0xFF) != 0) throw JpegDamage();
    }
    n_bits_ = n_beyond_ = 0;
    for (; file_.has(at_, 1); ++at_) {
        const uint32_t byte = file_.integer(at_, 1), next = file_.integer(at_ + 1, 1);
        if (byte == 0xFF && next == 0xFF) continue;  // may fill up
        if (byte == 0xFF && next != 0) break;
        if (byte != 0 || ++n_zeros > kSlackBytes) throw JpegDamage();
    }
    return at_;
}

void JpegBits::restart(uint32_t number) {
    const size_t at = finish();
    if (file_.integer(at, 2) != 0xFFD0 + number) throw JpegDamage();
    at_ = at + 2;
}

}  // namespace crispvl
