#include "kernels/linalg/finite.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"

namespace penchant {

namespace {

constexpr int64_t kBlockRows = 1024;

// Infinity and NaN are the values whose exponent is all ones: integers without a sign bit above
// those of every finite value.
bool IsFinite(const float* values, int64_t count) {
  uint32_t largest = 0;
  for (int64_t k = 0; k < count; ++k) {
    largest = std::max(largest, std::bit_cast<uint32_t>(values[k]) & 0x7fffffffu);
  }
  return largest < 0x7f800000u;
}

}  // namespace

void ThrowNotFinite(const std::string& what, int64_t row) {
  throw NumericError(internal::Concat(what, " hold a non-finite value, first in row ", row,
                                      "; check the weights' range, or raise regularization"));
}

void RequireFinite(Context& context, MatrixView<const float> table, const std::string& what) {
  if (context.cuda()) return context.cuda()->ops()->require_finite(context, table, what);
  std::atomic<int64_t> first = table.rows;
  context.ParallelFor((table.rows + kBlockRows - 1) / kBlockRows, [&](int64_t block, int) {
    const int64_t end = std::min((block + 1) * kBlockRows, table.rows);
    for (int64_t i = block * kBlockRows; i < end; ++i) {
      if (IsFinite(table.row(i), table.cols)) continue;
      int64_t seen = first;
      while (i < seen && !first.compare_exchange_weak(seen, i)) {
      }
      return;
    }
  });
  if (first < table.rows) ThrowNotFinite(what, first);
}

}  // namespace penchant
