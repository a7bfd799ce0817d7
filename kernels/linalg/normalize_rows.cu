#include "kernels/base/cuda.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/normalize_rows.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// A warp a row.
__global__ void NormalizeRowsKernel(MatrixView<float> table) {
  const int64_t warp = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarpSize;
  if (warp >= table.rows) return;
  const int lane = threadIdx.x % kWarpSize;
  float* row = table.data + warp * table.stride;
  float square = 0;
  ForEachOwn(table.stride, lane, [&](int64_t k) { square += row[k] * row[k]; });
  square = SumOverWarp(square);
  if (!(square > 0.0f)) return;
  const float inverse = 1.0f / sqrtf(square);
  ForEachOwn(table.stride, lane, [&](int64_t k) { row[k] *= inverse; });
}

}  // namespace

void NormalizeRows(Context& context, MatrixView<float> table) {
  if (table.rows == 0) return;
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(table.rows * kWarpSize, 256), 256}),
                  NormalizeRowsKernel, table);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
