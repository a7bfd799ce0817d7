#include "kernels/base/cuda.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/sparse/average_rows.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// A warp a row; lanes hold its columns.
__global__ void AverageRowsKernel(CsrView lists, MatrixView<const float> table,
                                  MatrixView<float> out) {
  const int64_t row = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarpSize;
  if (row >= lists.rows) return;
  const int64_t first = lists.offsets[row], last = lists.offsets[row + 1];
  for (int64_t k = threadIdx.x % kWarpSize; k < table.cols; k += kWarpSize) {
    float sum = 0;
    int64_t count = 0;
    for (int64_t j = first; j < last; ++j) {
      if (lists.values != nullptr && !(lists.values[j] > 0.0f)) continue;
      sum += table.data[lists.indices[j] * table.stride + k];
      ++count;
    }
    out.data[row * out.stride + k] = count > 0 ? sum * (1.0f / static_cast<float>(count)) : 0.0f;
  }
}

}  // namespace

void AverageRows(Context& context, const CsrView& lists, MatrixView<const float> table,
                 MatrixView<float> out) {
  if (lists.rows == 0) return;
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(lists.rows * kWarpSize, 256), 256}),
                  AverageRowsKernel, lists, table, out);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
