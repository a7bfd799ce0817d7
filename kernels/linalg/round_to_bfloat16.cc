#include "kernels/linalg/round_to_bfloat16.h"

#include <algorithm>

#include "kernels/cuda_ops.h"

namespace penchant {

void RoundToBfloat16(Context& context, MatrixView<float> table, Bfloat16* packed) {
  if (context.cuda()) return context.cuda()->ops()->round_to_bfloat16(context, table, packed);
  constexpr int64_t kBlock = 1 << 16;
  const int64_t size = table.rows * table.stride;
  context.ParallelFor((size + kBlock - 1) / kBlock, [&](int64_t block, int) {
    for (int64_t k = block * kBlock; k < std::min(size, (block + 1) * kBlock); ++k) {
      const Bfloat16 nearest = Bfloat16::Nearest(table.data[k]);
      table.data[k] = nearest.value();
      if (packed != nullptr) packed[k] = nearest;
    }
  });
}

}  // namespace penchant
