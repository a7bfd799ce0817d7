#include "kernels/base/cuda.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/round_to_bfloat16.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// A thread two elements, which are neighbours of four bytes once they are packed.
__global__ void RoundToBfloat16Kernel(float* table, int64_t pairs, Bfloat16* packed) {
  const int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k >= pairs) return;
  auto* pair = reinterpret_cast<float2*>(table) + k;
  const Bfloat16 first = Bfloat16::Nearest(pair->x), second = Bfloat16::Nearest(pair->y);
  *pair = {first.value(), second.value()};
  if (packed != nullptr) {
    reinterpret_cast<uint32_t*>(packed)[k] = first.bits | uint32_t{second.bits} << 16;
  }
}

}  // namespace

void RoundToBfloat16(Context& context, MatrixView<float> table, Bfloat16* packed) {
  const int64_t pairs = table.rows * table.stride / 2;
  if (pairs == 0) return;
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(pairs, 256), 256}), RoundToBfloat16Kernel,
                  table.data, pairs, packed);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
