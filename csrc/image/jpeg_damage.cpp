#include "image/jpeg_damage.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>
#include <vector>

#include "image/bytes.h"
#include "image/pixels.h"

namespace crispvl {
namespace {

constexpr size_t kSlackBytes = 4;  // that encoders leave behind a scan
// What a transformed block of 8-bit samples cannot exceed, and a quarter for encoders that let
// white overshoot.
constexpr int64_t kMostAmplitude = 1024 + 256;

// Thrown only inside this file.
struct Damage {};

// Symbols by the next 16 bits; a length of 0 where they begin with no code.
struct HuffmanTable {
    struct Entry {
        uint8_t length = 0, symbol = 0;
    };
    std::vector<Entry> entries;
};

struct Component {
    uint32_t id = 0, h = 1, v = 1;
    int64_t columns = 0, rows = 0;  // blocks of the picture
    int64_t stride = 0;             // blocks of a row, those that fill up an MCU included
    uint32_t dc_table = 0, ac_table = 0, steps_table = 0;
    int64_t dc = 0;                 // of the block before, in quantisation steps
    std::vector<uint32_t> steps;    // of quantisation, in the order of the codes; empty if unknown
    std::vector<uint64_t> nonzero;  // per block, the coefficients that are not 0; if progressive
};

class BitReader {
public:
    BitReader(const Bytes& file, size_t at) : file_(file), at_(at) {}

    uint32_t peek16() {
        while (n_bits_ < 16) take_byte();
        return (bits_ >> (n_bits_ - 16)) & 0xFFFF;
    }
    void skip(int n) {
        n_bits_ -= n;
        if (n_bits_ < n_beyond_) throw Damage();  // what is behind the data was used
    }
    uint32_t read(int n) {
        if (n == 0) return 0;
        const uint32_t value = peek16() >> (16 - n);
        skip(n);
        return value;
    }
    int symbol(const HuffmanTable& table) {
        if (table.entries.empty()) throw Damage();
        const HuffmanTable::Entry entry = table.entries[peek16()];
        if (entry.length == 0) throw Damage();
        skip(entry.length);
        return entry.symbol;
    }
    // To the marker behind the data; throws Damage where much is left.
    size_t finish() {
        n_bits_ = n_beyond_ = 0;
        size_t n_left = 0;
        for (; file_.has(at_, 2); ++at_) {
            n_left += file_.integer(at_, 1) != 0xFF;  // which may fill up
            if (file_.integer(at_, 1) == 0xFF && file_.integer(at_ + 1, 1) != 0 &&
                file_.integer(at_ + 1, 1) != 0xFF) {
                break;
            }
        }
        if (n_left > kSlackBytes) throw Damage();
        return at_;
    }
    void restart(uint32_t number) {
        const size_t at = finish();
        if (file_.integer(at, 2) != 0xFFD0 + number) throw Damage();
        at_ = at + 2;
    }

private:
    void take_byte() {
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

    const Bytes file_;
    size_t at_;
    uint64_t bits_ = 0;
    int n_bits_ = 0;
    int n_beyond_ = 0;  // of the bits, those after the data's end
};

class Scan {
public:
    Scan(uint32_t from, uint32_t to, uint32_t high, bool progressive)
        : from_(from), to_(to), high_(high), progressive_(progressive) {}

    void block(BitReader& bits, Component& c, int64_t i_block, const HuffmanTable& dc,
               const HuffmanTable& ac) {
        if (!progressive_) {
            c.dc += difference(bits, dc);
            check_amplitude(c, 0, c.dc);
            coefficients(bits, ac, c, 1, 63, nullptr);
        } else if (from_ == 0) {
            high_ == 0 ? difference(bits, dc) : bits.read(1);
        } else {
            uint64_t& nonzero = c.nonzero[static_cast<size_t>(i_block)];
            high_ == 0 ? first(bits, ac, c, nonzero) : refine(bits, ac, nonzero);
        }
    }
    void restart() { n_empty_ = 0; }

private:
    static int64_t difference(BitReader& bits, const HuffmanTable& dc) {
        const int n = bits.symbol(dc);
        if (n > 15) throw Damage();
        return value(bits, n);
    }
    // ITU-T T.81, F.12: n bits of a value, whose first is 0 where it is negative.
    static int64_t value(BitReader& bits, int n) {
        const int64_t read = bits.read(n), half = int64_t{1} << n >> 1;
        return read < half ? read - 2 * half + 1 : read;
    }
    void check_amplitude(const Component& c, uint32_t k, int64_t in_steps) const {
        if (c.steps.empty() || progressive_) return;
        const int64_t step = c.steps[k];
        if (std::abs(in_steps) * step > kMostAmplitude + step) throw Damage();
    }
    // Returns the bits of a run of empty blocks, -1 where there is none.
    int coefficients(BitReader& bits, const HuffmanTable& ac, const Component& c, uint32_t k,
                     uint32_t to, uint64_t* nonzero) const {
        for (; k <= to; ++k) {
            const int code = bits.symbol(ac), run = code >> 4, n = code & 15;
            if (n == 0 && run < 15) return run;
            k += static_cast<uint32_t>(run);
            if (k > to) throw Damage();
            check_amplitude(c, k, value(bits, n));
            if (nonzero != nullptr && n > 0) *nonzero |= uint64_t{1} << k;
        }
        return -1;
    }
    void first(BitReader& bits, const HuffmanTable& ac, const Component& c, uint64_t& nonzero) {
        if (n_empty_ > 0) {
            --n_empty_;
            return;
        }
        const int run = coefficients(bits, ac, c, from_, to_, &nonzero);
        if (run > 0) n_empty_ = (1u << run) - 1 + bits.read(run);
    }
    void refine(BitReader& bits, const HuffmanTable& ac, uint64_t& nonzero) {
        uint32_t k = from_;
        while (n_empty_ == 0 && k <= to_) {
            const int code = bits.symbol(ac);
            int run = code >> 4;
            const int n = code & 15;
            if (n > 1) throw Damage();
            if (n == 0 && run < 15) {
                n_empty_ = (1u << run) + bits.read(run);
                break;
            }
            bits.read(n);
            for (; k <= to_; ++k) {
                if ((nonzero >> k & 1) != 0) {
                    bits.read(1);
                } else if (--run < 0) {
                    break;
                }
            }
            if (n == 1 && k > to_) throw Damage();
            if (n == 1) nonzero |= uint64_t{1} << k;
            ++k;
        }
        if (n_empty_ == 0) return;
        for (; k <= to_; ++k) {
            if ((nonzero >> k & 1) != 0) bits.read(1);
        }
        --n_empty_;
    }

    const uint32_t from_, to_, high_;
    const bool progressive_;
    uint32_t n_empty_ = 0;  // blocks without further codes
};

class Picture {
public:
    explicit Picture(const Bytes& file) : file_(file) {}

    // Throws Damage.
    void check() {
        size_t at = 2;
        while (file_.has(at, 4)) {
            if (file_.integer(at, 1) != 0xFF) {
                ++at;  // decoders ignore what else is between segments
                continue;
            }
            const uint32_t marker = file_.integer(at + 1, 1);
            if (marker == 0xD9 || is_foreign_) return;
            if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8) ||
                marker == 0xFF) {
                at += marker == 0xFF ? 1 : 2;
                continue;
            }
            const size_t n = file_.integer(at + 2, 2), body = at + 4, end = at + 2 + n;
            if (n < 2 || !file_.has(at, 2 + n)) return;
            if (marker == 0xC4) read_tables(body, end);
            if (marker == 0xDB) read_steps(body, end);
            if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8) {
                read_frame(marker, body);
            }
            if (marker == 0xDD) restart_interval_ = file_.integer(body, 2);
            at = marker == 0xDA && !is_foreign_ ? check_scan(body, end) : end;
        }
    }

private:
    void read_tables(size_t at, size_t end) {
        while (at + 17 <= end) {
            const uint32_t place = file_.integer(at, 1);
            HuffmanTable table;
            table.entries.resize(1 << 16);
            size_t code = 0, symbol = at + 17;
            for (int length = 1; length <= 16; ++length) {
                const uint32_t n = file_.integer(at + static_cast<size_t>(length), 1);
                for (uint32_t i = 0; i < n; ++i, ++symbol) {
                    const size_t span = size_t{1} << (16 - length);
                    if (code + span > table.entries.size() || symbol >= end) throw Damage();
                    std::fill_n(
                        table.entries.begin() + static_cast<std::ptrdiff_t>(code), span,
                        HuffmanTable::Entry{static_cast<uint8_t>(length),
                                            static_cast<uint8_t>(file_.integer(symbol, 1))});
                    code += span;
                }
            }
            tables_[(place >> 4 & 1) * 4 + (place & 3)] = std::move(table);
            at = symbol;
        }
    }

    void read_steps(size_t at, size_t end) {
        while (at < end) {
            const uint32_t place = file_.integer(at++, 1);
            const size_t n_bytes = (place >> 4) != 0 ? 2 : 1;
            std::vector<uint32_t>& steps = steps_[place & 3];
            for (steps.clear(); steps.size() < 64; at += n_bytes) {
                steps.push_back(file_.integer(at, n_bytes));
            }
        }
    }

    void read_frame(uint32_t marker, size_t at) {
        is_8_bit_ = file_.integer(at, 1) == 8;
        progressive_ = marker == 0xC2;
        const int64_t height = file_.integer(at + 1, 2), width = file_.integer(at + 3, 2);
        const uint32_t n = file_.integer(at + 5, 1);
        // Other kinds: lossless, differential, arithmetic; a height that follows the scan.
        is_foreign_ = marker > 0xC2 || !components_.empty() || height == 0 || width == 0 ||
                      width * height > kMaxPixels || n < 1 || n > 4;
        if (is_foreign_) return;
        for (uint32_t i = 0; i < n; ++i) {
            Component c;
            c.id = file_.integer(at + 6 + 3 * i, 1);
            c.h = file_.integer(at + 7 + 3 * i, 1) >> 4;
            c.v = file_.integer(at + 7 + 3 * i, 1) & 15;
            c.steps_table = file_.integer(at + 8 + 3 * i, 1) & 3;
            if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4) throw Damage();
            h_max_ = std::max(h_max_, c.h);
            v_max_ = std::max(v_max_, c.v);
            components_.push_back(c);
        }
        mcu_columns_ = (width + 8 * h_max_ - 1) / (8 * h_max_);
        mcu_rows_ = (height + 8 * v_max_ - 1) / (8 * v_max_);
        for (Component& c : components_) {
            c.columns = ((width * c.h + h_max_ - 1) / h_max_ + 7) / 8;
            c.rows = ((height * c.v + v_max_ - 1) / v_max_ + 7) / 8;
            c.stride = mcu_columns_ * c.h;
            if (progressive_) c.nonzero.resize(static_cast<size_t>(c.stride * mcu_rows_ * c.v));
        }
    }

    // Returns where the scan's data ends.
    size_t check_scan(size_t at, size_t end) {
        std::vector<Component*> chosen;
        const uint32_t n = file_.integer(at, 1);
        for (uint32_t i = 0; i < n; ++i) {
            for (Component& c : components_) {
                if (c.id != file_.integer(at + 1 + 2 * i, 1)) continue;
                c.dc_table = file_.integer(at + 2 + 2 * i, 1) >> 4 & 3;
                c.ac_table = file_.integer(at + 2 + 2 * i, 1) & 3;
                if (is_8_bit_) c.steps = steps_[c.steps_table];
                c.dc = 0;
                chosen.push_back(&c);
            }
        }
        if (chosen.size() != n || n == 0) throw Damage();
        const size_t rest = at + 1 + 2 * size_t{n};
        const uint32_t approximation = file_.integer(rest + 2, 1);
        const uint32_t from = file_.integer(rest, 1), to = file_.integer(rest + 1, 1);
        if (from > 63 || to > 63 || (progressive_ && from > 0 && n > 1)) throw Damage();
        Scan scan(from, to, approximation >> 4, progressive_);
        BitReader bits(file_, end);
        const bool single = n == 1;
        const int64_t columns = single ? chosen[0]->columns : mcu_columns_;
        const int64_t n_units = columns * (single ? chosen[0]->rows : mcu_rows_);
        for (int64_t i = 0; i < n_units; ++i) {
            if (restart_interval_ > 0 && i > 0 && i % restart_interval_ == 0) {
                bits.restart(static_cast<uint32_t>((i / restart_interval_ - 1) % 8));
                scan.restart();
                for (Component* c : chosen) c->dc = 0;
            }
            const int64_t x = i % columns, y = i / columns;
            for (Component* c : chosen) unit(bits, scan, *c, x, y, single);
        }
        return bits.finish();
    }

    void unit(BitReader& bits, Scan& scan, Component& c, int64_t x, int64_t y, bool single) {
        const HuffmanTable &dc = tables_[c.dc_table], &ac = tables_[4 + c.ac_table];
        const int64_t h = single ? 1 : c.h, v = single ? 1 : c.v;
        for (int64_t row = 0; row < v; ++row) {
            for (int64_t column = 0; column < h; ++column) {
                scan.block(bits, c, (y * v + row) * c.stride + x * h + column, dc, ac);
            }
        }
    }

    const Bytes file_;
    std::array<HuffmanTable, 8> tables_;  // four for DC, four for AC
    std::array<std::vector<uint32_t>, 4> steps_;
    std::vector<Component> components_;
    uint32_t h_max_ = 1, v_max_ = 1;
    int64_t mcu_columns_ = 0, mcu_rows_ = 0;
    int64_t restart_interval_ = 0;  // units; 0: none
    bool progressive_ = false, is_foreign_ = false, is_8_bit_ = true;
};

}  // namespace

bool jpeg_is_damaged(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    if (!file.begins("\xFF\xD8")) return false;
    try {
        Picture(file).check();
        return false;
    } catch (const Damage&) {
        return true;
    }
}

}  // namespace crispvl
