// F32 kernels: what is asked of the logits of a whole vocabulary for every token. Unlike the others
// they exist for every CPU.
#pragma once

#include <cstdint>

namespace crispvl::kernels {

struct RowSummary {
    double log_sum;   // log(sum(exp(x))), within 1e-6; not finite where that is no number
    int64_t i_first;  // the first of the largest; 0 where all are NaN
};

// x [n], n above 0, which is read once from memory (online softmax, arXiv 1805.02867).
RowSummary summarise_row(const float* x, int64_t n);

}  // namespace crispvl::kernels
