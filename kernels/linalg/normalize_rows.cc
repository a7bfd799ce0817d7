#include "kernels/linalg/normalize_rows.h"

#include <algorithm>
#include <cmath>

#include "kernels/cuda_ops.h"

namespace penchant {

void NormalizeRows(Context& context, MatrixView<float> table) {
  if (context.cuda()) return context.cuda()->ops()->normalize_rows(context, table);
  constexpr int64_t kRows = 1024;
  context.ParallelFor((table.rows + kRows - 1) / kRows, [&](int64_t block, int) {
    for (int64_t i = block * kRows; i < std::min(table.rows, (block + 1) * kRows); ++i) {
      float* row = table.row(i);
      double square = 0;
      for (int64_t k = 0; k < table.cols; ++k) square += double{row[k]} * double{row[k]};
      if (!(square > 0)) continue;
      const auto inverse = static_cast<float>(1.0 / std::sqrt(square));
      for (int64_t k = 0; k < table.cols; ++k) row[k] *= inverse;
    }
  });
}

}  // namespace penchant
