#include "kernels/sparse/average_rows.h"

#include <algorithm>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"

namespace penchant {
namespace {

void AverageRow(const CsrView& lists, int64_t i, MatrixView<const float> table, float* out) {
  std::fill(out, out + table.cols, 0.0f);
  const auto listed = lists.row_indices(i);
  const float* values = lists.row_values(i);
  int64_t count = 0;
  for (size_t j = 0; j < listed.size(); ++j) {
    if (values != nullptr && !(values[j] > 0)) continue;
    const float* row = table.row(listed[j]);
    for (int64_t k = 0; k < table.cols; ++k) out[k] += row[k];
    ++count;
  }
  if (count == 0) return;
  const float share = 1.0f / static_cast<float>(count);
  for (int64_t k = 0; k < table.cols; ++k) out[k] *= share;
}

}  // namespace

void AverageRows(Context& context, const CsrView& lists, MatrixView<const float> table,
                 MatrixView<float> out) {
  PENCHANT_REQUIRE(lists.rows == out.rows && lists.cols == table.rows && table.cols == out.cols,
                   "AverageRows: lists are ", lists.rows, " x ", lists.cols, ", the table ",
                   table.rows, " x ", table.cols, ", out ", out.rows, " x ", out.cols);
  if (context.cuda()) return context.cuda()->ops()->average_rows(context, lists, table, out);
  constexpr int64_t kRows = 16;
  context.ParallelFor((lists.rows + kRows - 1) / kRows, [&](int64_t block, int) {
    const int64_t end = std::min(lists.rows, (block + 1) * kRows);
    for (int64_t i = block * kRows; i < end; ++i) AverageRow(lists, i, table, out.row(i));
  });
}

}  // namespace penchant
