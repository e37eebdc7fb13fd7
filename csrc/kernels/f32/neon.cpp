#include "kernels/f32/row_summary.h"
#include "kernels/f32/table.h"
#include "kernels/f32/vector_block.h"

namespace crispvl::kernels {

const F32Kernels kF32Neon = {summarise_blocks<VectorBlock>};

}  // namespace crispvl::kernels
