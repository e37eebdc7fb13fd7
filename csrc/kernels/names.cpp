#include "kernels/names.h"

#include "kernels/bf16/kernels.h"
#include "kernels/int8/kernels.h"

namespace crispvl::kernels {

std::vector<std::string> kernel_names() {
    std::vector<std::string> names;
    if (bf16_kernels_name() != nullptr) names.emplace_back(bf16_kernels_name());
    if (int8_kernels_name() != nullptr) names.emplace_back(int8_kernels_name());
    return names;
}

}  // namespace crispvl::kernels
