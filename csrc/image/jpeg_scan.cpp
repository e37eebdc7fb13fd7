#include "image/jpeg_scan.h"

#include <cstdlib>

namespace crispvl {
namespace {

// What a transformed block of 8-bit samples cannot exceed, and a quarter for encoders that let
// white overshoot beside ink; they keep a block's mean within its range.
constexpr int64_t kMostDc = 1024, kMostAmplitude = 1024 + 256;

}  // namespace

void JpegBand::send(JpegComponent& c) const {
    for (uint32_t k = from; k <= to; ++k) {
        const int before = progressive ? c.low[k] : kUnsent;
        const bool follows =
            high == 0 ? before == kUnsent : before == static_cast<int>(high) && high == low + 1;
        if (!follows || (progressive && k > 0 && c.low[0] == kUnsent)) throw JpegDamage();
        c.low[k] = static_cast<int>(low);
    }
}

void JpegScan::block(JpegBits& bits, JpegComponent& c, int64_t i_block, const HuffmanTable& dc,
                     const HuffmanTable& ac) {
    if (band_.from == 0 && band_.high == 0) {
        c.dc += difference(bits, dc);
        check_amplitude(c, 0, c.dc);
    } else if (band_.from == 0) {
        bits.read(1);
    }
    if (!band_.progressive) {
        coefficients(bits, ac, c, 1, nullptr);
    } else if (band_.from > 0) {
        uint64_t& nonzero = c.nonzero[static_cast<size_t>(i_block)];
        band_.high == 0 ? first(bits, ac, c, nonzero) : refine(bits, ac, nonzero);
    }
}

void JpegScan::restart() {
    if (n_empty_ > 0) throw JpegDamage();
}

int64_t JpegScan::difference(JpegBits& bits, const HuffmanTable& dc) {
    const int n = bits.symbol(dc);
    if (n > 15) throw JpegDamage();
    return bits.value(n);
}

void JpegScan::check_amplitude(const JpegComponent& c, uint32_t k, int64_t in_steps) const {
    if (c.steps.empty()) return;
    const int64_t step = int64_t{c.steps[k]} << band_.low;
    if (std::abs(in_steps) * step > (k == 0 ? kMostDc : kMostAmplitude) + step) throw JpegDamage();
}

// Returns the bits of a run of empty blocks, -1 where there is none.
int JpegScan::coefficients(JpegBits& bits, const HuffmanTable& ac, const JpegComponent& c,
                           uint32_t k, uint64_t* nonzero) const {
    for (; k <= band_.to; ++k) {
        const int code = bits.symbol(ac), run = code >> 4, n = code & 15;
        if (n == 0 && run < 15) {
            if (run > 0 && !band_.progressive) throw JpegDamage();
            return run;
        }
        k += static_cast<uint32_t>(run);
        if (k > band_.to) throw JpegDamage();
        check_amplitude(c, k, bits.value(n));
        if (nonzero != nullptr && n > 0) *nonzero |= uint64_t{1} << k;
    }
    return -1;
}

void JpegScan::first(JpegBits& bits, const HuffmanTable& ac, const JpegComponent& c,
                     uint64_t& nonzero) {
    if (n_empty_ > 0) {
        --n_empty_;
        return;
    }
    const int run = coefficients(bits, ac, c, band_.from, &nonzero);
    if (run > 0) n_empty_ = (1u << run) - 1 + bits.read(run);
}

void JpegScan::refine(JpegBits& bits, const HuffmanTable& ac, uint64_t& nonzero) {
    uint32_t k = band_.from;
    while (n_empty_ == 0 && k <= band_.to) {
        const int code = bits.symbol(ac);
        int run = code >> 4;
        const int n = code & 15;
        if (n > 1) throw JpegDamage();
        if (n == 0 && run < 15) {
            n_empty_ = (1u << run) + bits.read(run);
            break;
        }
        bits.read(n);
        for (; k <= band_.to; ++k) {
            if ((nonzero >> k & 1) != 0) {
                bits.read(1);
            } else if (--run < 0) {
                break;
            }
        }
        if (n == 1 && k > band_.to) throw JpegDamage();
        if (n == 1) nonzero |= uint64_t{1} << k;
        ++k;
    }
    if (n_empty_ == 0) return;
    for (; k <= band_.to; ++k) {
        if ((nonzero >> k & 1) != 0) bits.read(1);
    }
    --n_empty_;
}

}  // namespace crispvl
