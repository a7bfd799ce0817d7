#include "kernels/score/gather_rows.h"

#include <cstring>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"

namespace penchant {

void GatherRows(Context& context, MatrixView<const float> table, const int32_t* rows,
                MatrixView<float> out) {
  PENCHANT_REQUIRE(table.stride == out.stride, "GatherRows: strides of ", table.stride, " and ",
                   out.stride);
  if (context.cuda()) return context.cuda()->ops()->gather_rows(context, table, rows, out);
  for (int64_t i = 0; i < out.rows; ++i) {
    std::memcpy(out.row(i), table.row(rows[i]), table.stride * sizeof(float));
  }
}

}  // namespace penchant
