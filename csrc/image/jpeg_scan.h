// Scans of a JPEG, block by block (ITU-T T.81, annexes F and G).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "image/jpeg_codes.h"

namespace crispvl {

constexpr int kUnsent = -1;

struct JpegComponent {
    uint32_t id = 0, h = 1, v = 1;
    int64_t columns = 0, rows = 0;  // blocks of the picture
    int64_t stride = 0;             // blocks of a row, those that fill up an MCU included
    uint32_t dc_table = 0, ac_table = 0, steps_table = 0;
    int64_t dc = 0;                 // of the block before, in quantisation steps
    std::vector<uint32_t> steps;    // of quantisation, in the order of the codes; empty if unknown
    std::vector<uint64_t> nonzero;  // per block, the coefficients that are not 0; if progressive
    std::array<int, 64> low{};      // per coefficient, the lowest bit sent so far, or kUnsent
};

// What a scan says it holds: coefficients `from` … `to`, down to bit `low`, from bit `high` on or,
// where that is 0, from the top.
struct JpegBand {
    uint32_t from = 0, to = 63, high = 0, low = 0;
    bool progressive = false;

    // Notes that a component's coefficients are sent; throws JpegDamage where others had to be
    // before them.
    void send(JpegComponent& c) const;
};

class JpegScan {
public:
    explicit JpegScan(const JpegBand& band) : band_(band) {}

    void block(JpegBits& bits, JpegComponent& c, int64_t i_block, const HuffmanTable& dc,
               const HuffmanTable& ac);
    // At a restart and behind the last block.
    void restart();

private:
    static int64_t difference(JpegBits& bits, const HuffmanTable& dc);
    void check_amplitude(const JpegComponent& c, uint32_t k, int64_t in_steps) const;
    int coefficients(JpegBits& bits, const HuffmanTable& ac, const JpegComponent& c, uint32_t k,
                     uint64_t* nonzero) const;
    void first(JpegBits& bits, const HuffmanTable& ac, const JpegComponent& c, uint64_t& nonzero);
    void refine(JpegBits& bits, const HuffmanTable& ac, uint64_t& nonzero);

    const JpegBand band_;
    uint32_t n_empty_ = 0;  // blocks without further codes
};

}  // namespace crispvl
