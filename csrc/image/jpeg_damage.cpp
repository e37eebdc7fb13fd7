#include "image/jpeg_damage.h"

#include <algorithm>
#include <array>
#include <vector>

#include "image/jpeg_scan.h"
#include "image/pixels.h"

namespace crispvl {
namespace {

class Picture {
public:
    explicit Picture(const Bytes& file) : file_(file) {}

    // Throws JpegDamage.
    void check() {
        for (size_t at = 2; file_.has(at, 4) && !is_foreign_ && !is_over_;) at = next(at);
        if (is_foreign_ || components_.empty()) return;
        for (const JpegComponent& c : components_) {
            for (const int low : c.low) {
                if (low != 0) throw JpegDamage();  // a scan is missing
            }
        }
    }

private:
    // Goes over what is at `at`, and returns where the next segment may begin.
    size_t next(size_t at) {
        if (file_.integer(at, 1) != 0xFF) return at + 1;  // nothing to decoders
        const uint32_t marker = file_.integer(at + 1, 1);
        if (marker == 0xFF) return at + 1;
        if (marker <= 1 || (marker >= 0xD0 && marker <= 0xD8)) return at + 2;
        const size_t n = file_.integer(at + 2, 2), body = at + 4, end = at + 2 + n;
        is_over_ = marker == 0xD9 || n < 2 || !file_.has(at, 2 + n);
        if (is_over_) return at;
        if (marker == 0xC4) read_tables(body, end);
        if (marker == 0xDB) read_steps(body, end);
        if (marker == 0xDD) restart_interval_ = file_.integer(body, 2);
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8) {
            read_frame(marker, body);
        }
        return marker == 0xDA && !is_foreign_ ? check_scan(body, end) : end;
    }

    void read_tables(size_t at, size_t end) {
        while (at + 17 <= end) {
            const uint32_t place = file_.integer(at, 1);
            at = tables_[(place >> 4 & 1) * 4 + (place & 3)].read(file_, at + 1, end);
        }
    }

    void read_steps(size_t at, size_t end) {
        while (at < end) {
            const uint32_t place = file_.integer(at++, 1);
            const size_t n_bytes = (place >> 4) != 0 ? 2 : 1;
            std::vector<uint32_t>& steps = steps_[place & 3];
            for (steps.clear(); steps.size() < 64; at += n_bytes) {
                steps.push_back(file_.integer(at, n_bytes));
                if (steps.back() == 0) throw JpegDamage();
            }
        }
    }

    void read_frame(uint32_t marker, size_t at) {
        is_over_ = !components_.empty();  // another picture behind one without an end marker
        if (is_over_) return;
        is_8_bit_ = file_.integer(at, 1) == 8;
        progressive_ = marker == 0xC2;
        const int64_t height = file_.integer(at + 1, 2), width = file_.integer(at + 3, 2);
        const uint32_t n = file_.integer(at + 5, 1);
        // Other kinds: lossless, differential, arithmetic; a height that follows the scan.
        is_foreign_ = marker > 0xC2 || height == 0 || width == 0 || width * height > kMaxPixels ||
                      n < 1 || n > 4;
        if (is_foreign_) return;
        for (uint32_t i = 0; i < n; ++i) {
            JpegComponent c;
            c.id = file_.integer(at + 6 + 3 * i, 1);
            c.h = file_.integer(at + 7 + 3 * i, 1) >> 4;
            c.v = file_.integer(at + 7 + 3 * i, 1) & 15;
            c.steps_table = file_.integer(at + 8 + 3 * i, 1) & 3;
            c.low.fill(kUnsent);
            if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4) throw JpegDamage();
            h_max_ = std::max(h_max_, c.h);
            v_max_ = std::max(v_max_, c.v);
            components_.push_back(c);
        }
        mcu_columns_ = (width + 8 * h_max_ - 1) / (8 * h_max_);
        mcu_rows_ = (height + 8 * v_max_ - 1) / (8 * v_max_);
        for (JpegComponent& c : components_) {
            c.columns = ((width * c.h + h_max_ - 1) / h_max_ + 7) / 8;
            c.rows = ((height * c.v + v_max_ - 1) / v_max_ + 7) / 8;
            c.stride = mcu_columns_ * c.h;
            if (progressive_) c.nonzero.resize(static_cast<size_t>(c.stride * mcu_rows_ * c.v));
        }
    }

    // Returns where the scan's data ends.
    size_t check_scan(size_t at, size_t end) {
        const uint32_t n = file_.integer(at, 1);
        const std::vector<JpegComponent*> chosen = choose(at + 1, n);
        const JpegBand band = band_of(at + 1 + 2 * size_t{n});
        const bool single = n == 1;
        if (band.from > 0 && !single) throw JpegDamage();
        for (JpegComponent* c : chosen) band.send(*c);
        JpegScan scan(band);
        JpegBits bits(file_, end);
        const int64_t columns = single ? chosen[0]->columns : mcu_columns_;
        const int64_t n_units = columns * (single ? chosen[0]->rows : mcu_rows_);
        for (int64_t i = 0; i < n_units; ++i) {
            if (restart_interval_ > 0 && i > 0 && i % restart_interval_ == 0) {
                bits.restart(static_cast<uint32_t>((i / restart_interval_ - 1) % 8));
                scan.restart();
                for (JpegComponent* c : chosen) c->dc = 0;
            }
            const int64_t x = i % columns, y = i / columns;
            for (JpegComponent* c : chosen) unit(bits, scan, *c, x, y, single);
        }
        scan.restart();
        return bits.finish();
    }

    std::vector<JpegComponent*> choose(size_t at, uint32_t n) {
        std::vector<JpegComponent*> chosen;
        for (uint32_t i = 0; i < n; ++i, at += 2) {
            for (JpegComponent& c : components_) {
                if (c.id != file_.integer(at, 1)) continue;
                c.dc_table = file_.integer(at + 1, 1) >> 4 & 3;
                c.ac_table = file_.integer(at + 1, 1) & 3;
                if (is_8_bit_) c.steps = steps_[c.steps_table];
                c.dc = 0;
                chosen.push_back(&c);
            }
        }
        if (chosen.size() != n || n == 0) throw JpegDamage();
        return chosen;
    }

    JpegBand band_of(size_t at) const {
        if (!progressive_) return JpegBand();  // some encoders write no numbers there
        const uint32_t bits = file_.integer(at + 2, 1);
        const JpegBand band{file_.integer(at, 1), file_.integer(at + 1, 1), bits >> 4, bits & 15,
                            true};
        const bool fits = band.from == 0 ? band.to == 0 : band.from <= band.to && band.to <= 63;
        if (!fits || band.low > 13) throw JpegDamage();
        return band;
    }

    void unit(JpegBits& bits, JpegScan& scan, JpegComponent& c, int64_t x, int64_t y, bool single) {
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
    std::vector<JpegComponent> components_;
    uint32_t h_max_ = 1, v_max_ = 1;
    int64_t mcu_columns_ = 0, mcu_rows_ = 0;
    int64_t restart_interval_ = 0;  // units; 0: none
    bool progressive_ = false, is_foreign_ = false, is_over_ = false, is_8_bit_ = true;
};

}  // namespace

bool jpeg_is_damaged(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes);
    if (!file.begins("\xFF\xD8")) return false;
    try {
        Picture(file).check();
        return false;
    } catch (const JpegDamage&) {
        return true;
    }
}

}  // namespace crispvl
