// The codes of a JPEG's scans, bit by bit (ITU-T T.81, annex F).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/bytes.h"

namespace crispvl {

// What the readers of a JPEG's codes throw where they are not those of a whole picture.
struct JpegDamage {};

// Symbols by the next 16 bits; a length of 0 where they begin with no code.
struct HuffmanTable {
    struct Entry {
        uint8_t length = 0, symbol = 0;
    };
    std::vector<Entry> entries;

    // Reads the counts of codes and their symbols at `at`; returns where the next table may begin.
    size_t read(const Bytes& file, size_t at, size_t end);
};

// Reads a scan's data up to its markers; throws JpegDamage where more is asked for than there is.
class JpegBits {
public:
    JpegBits(const Bytes& file, size_t at) : file_(file), at_(at) {}

    uint32_t read(int n) {
        if (n == 0) return 0;
        const uint32_t value = peek16() >> (16 - n);
        skip(n);
        return value;
    }
    // A value of n bits, whose first is 0 where it is negative (F.12).
    int64_t value(int n) {
        const int64_t bits = read(n), half = int64_t{1} << n >> 1;
        return bits < half ? bits - 2 * half + 1 : bits;
    }
    int symbol(const HuffmanTable& table) {
        if (table.entries.empty()) throw JpegDamage();
        const HuffmanTable::Entry entry = table.entries[peek16()];
        if (entry.length == 0) throw JpegDamage();
        skip(entry.length);
        return entry.symbol;
    }
    // To the marker behind the data, before which nothing but padding may be left.
    size_t finish();
    // The same, and over the marker of restart `number`.
    void restart(uint32_t number);

private:
    uint32_t peek16() {
        while (n_bits_ < 16) take_byte();
        return (bits_ >> (n_bits_ - 16)) & 0xFFFF;
    }
    void skip(int n) {
        n_bits_ -= n;
        if (n_bits_ < n_beyond_) throw JpegDamage();  // what is behind the data was used
    }
    void take_byte();

    const Bytes file_;
    size_t at_;
    uint64_t bits_ = 0;
    int n_bits_ = 0;
    int n_beyond_ = 0;  // of the bits, those after the data's end
};

}  // namespace crispvl
