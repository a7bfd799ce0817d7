#include "kernels/als/explain.h"

#include <cmath>

#include "kernels/base/blas.h"
#include "kernels/base/errors.h"

namespace penchant {

std::vector<double> ExplainScore(const AlsObjective& objective, const FixedSide& fixed,
                                 const CsrView& row, int32_t item) {
  PENCHANT_REQUIRE(row.rows == 1, "ExplainScore takes one row; got ", row.rows);
  PENCHANT_REQUIRE(item >= 0 && item < fixed.table.rows, "item row ", item, " is outside [0, ",
                   fixed.table.rows, ")");
  const int64_t d = fixed.table.cols, n = row.row_size(0);
  const auto ids = row.row_indices(0);
  const float* values = row.row_values(0);
  const double lambda = objective.RowRegularization(n, fixed.table.rows);
  // A = diag(w0 l + lambda) + Y'WY, v = A^-1 y_item.
  std::vector<double> system(d * d, 0.0), v(d);
  std::vector<double> weights(n);
  for (int64_t k = 0; k < d; ++k) {
    system[k * d + k] = objective.unobserved_weight * fixed.eigenvalues[k] + lambda;
    v[k] = fixed.table.row(item)[k];
  }
  for (int64_t j = 0; j < n; ++j) {
    weights[j] = objective.alpha * std::abs(values ? values[j] : 1.0f);
    const float* y = fixed.table.row(ids[j]);
    for (int64_t k = 0; k < d; ++k) {
      const double scaled = weights[j] * y[k];
      for (int64_t l = 0; l <= k; ++l) system[k * d + l] += scaled * y[l];
    }
  }
  PENCHANT_CHECK(blas::CholeskySolve(d, system.data(), d, v.data()), NumericError,
                 "the system to explain is not positive definite");
  std::vector<double> parts(n, 0.0);
  for (int64_t j = 0; j < n; ++j) {
    if (values && values[j] < 0) continue;  // disliked: preference 0
    const float* y = fixed.table.row(ids[j]);
    double dot = 0;
    for (int64_t k = 0; k < d; ++k) dot += double{y[k]} * v[k];
    parts[j] = (objective.unobserved_weight + weights[j]) * dot;
  }
  return parts;
}

}  // namespace penchant
