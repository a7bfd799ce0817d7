#include <limits>

#include "kernels/base/cuda.cuh"
#include "kernels/base/device_memory.h"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/finite.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr unsigned long long kNoRow = std::numeric_limits<unsigned long long>::max();

__global__ void ResetRow(unsigned long long* first) { *first = kNoRow; }

__global__ void FindNotFinite(const float* table, int64_t count, int64_t stride,
                              unsigned long long* first) {
  const int64_t step = int64_t{blockDim.x} * gridDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += step) {
    if (!isfinite(table[i])) atomicMin(first, static_cast<unsigned long long>(i / stride));
  }
}

}  // namespace

void RequireFinite(Context& context, MatrixView<const float> table, const std::string& what) {
  const int64_t count = table.rows * table.stride;
  if (count == 0) return;
  DeviceBuffer<unsigned long long> first(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{1, 1}), ResetRow, first.data());
  LaunchShape shape{1, 256};
  shape.blocks = ResidentBlocks(context, FindNotFinite, shape, DivideUp(count, 4 * shape.threads));
  PENCHANT_LAUNCH(context, shape, FindNotFinite, table.data, count, table.stride, first.data());
  context.cuda()->ReadLater(first.data(), sizeof(unsigned long long), [what](const void* host) {
    const auto row = *static_cast<const unsigned long long*>(host);
    if (row != kNoRow) ThrowNotFinite(what, static_cast<int64_t>(row));
  });
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
