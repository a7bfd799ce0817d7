#include "kernels/linalg/finite.h"

#include <cmath>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"

namespace penchant {

void ThrowNotFinite(const std::string& what, int64_t row) {
  throw NumericError(internal::Concat(what, " hold a non-finite value, first in row ", row,
                                      "; check the weights' range, or raise regularization"));
}

void RequireFinite(Context& context, MatrixView<const float> table, const std::string& what) {
  if (context.cuda()) return context.cuda()->ops().require_finite(context, table, what);
  for (int64_t i = 0; i < table.rows; ++i) {
    bool finite = true;
    for (int64_t k = 0; k < table.cols; ++k) finite &= std::isfinite(table.row(i)[k]);
    if (!finite) ThrowNotFinite(what, i);
  }
}

}  // namespace penchant
