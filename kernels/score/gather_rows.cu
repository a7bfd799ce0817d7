#include "kernels/cuda_twins.cuh"
#include "kernels/score/gather_rows.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// 16 bytes a thread.
__global__ void GatherRowsKernel(const float* table, int64_t stride, const int32_t* rows,
                                 int64_t count, float* out) {
  const int64_t pieces = stride / 4;
  const int64_t step = int64_t{gridDim.x} * blockDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count * pieces; i += step) {
    const int64_t row = i / pieces, piece = i % pieces;
    reinterpret_cast<float4*>(out + row * stride)[piece] =
        reinterpret_cast<const float4*>(table + rows[row] * stride)[piece];
  }
}

}  // namespace

void GatherRows(Context& context, MatrixView<const float> table, const int32_t* rows,
                MatrixView<float> out) {
  LaunchShape shape{0, 256};
  shape.blocks = ResidentBlocks(context, GatherRowsKernel, shape,
                                DivideUp(out.rows * table.stride / 4, shape.threads));
  PENCHANT_LAUNCH(context, shape, GatherRowsKernel, table.data, table.stride, rows, out.rows,
                  out.data);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
