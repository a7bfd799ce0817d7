#include "kernels/als/row_plan.h"

#include <algorithm>
#include <numeric>

#include "kernels/als/row_batch.h"
#include "kernels/cuda_ops.h"

namespace penchant {
namespace {

// Floating-point work below which a unit of rows is not worth handing out alone.
constexpr double kUnitFlops = 4e6;

double RowFlops(int64_t n, int64_t factors) {
  const double rows = static_cast<double>(n), d = static_cast<double>(factors);
  const double order = IsShortSide(n, factors) ? rows : d;
  const double other = IsShortSide(n, factors) ? d : rows;
  return order * order * other + order * order * order / 3 + 4 * rows * d + 2000;
}

}  // namespace

RowPlan::RowPlan(Context& context, const CsrView& rows, int64_t factors, int64_t first_row)
    : first_row_(first_row) {
  if (context.cuda()) {
    cuda_ = context.cuda()->ops()->plan_rows(context, rows, factors);
    return;
  }
  order_.resize(rows.rows);
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(),
                   [&](int32_t a, int32_t b) { return rows.row_size(a) > rows.row_size(b); });
  if (!order_.empty()) longest_ = rows.row_size(order_[0]);
  unit_begin_.push_back(0);
  double flops = 0;
  for (int64_t position = 0; position < rows.rows; ++position) {
    flops += RowFlops(rows.row_size(order_[position]), factors);
    const bool batch_is_full =
        (position + 1 - unit_begin_.back()) % kMaxBatchLanes == 0 || position + 1 == rows.rows;
    if (batch_is_full && (flops >= kUnitFlops || position + 1 == rows.rows)) {
      unit_begin_.push_back(position + 1);
      flops = 0;
    }
  }
}

}  // namespace penchant
