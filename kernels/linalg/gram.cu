#include "kernels/base/cuda_blas.h"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/gram.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// Rows whose products are summed in float32 before they join the double sum, in a fixed order.
constexpr int64_t kBlockRows = 8192;
constexpr int64_t kBlocksAtATime = 64;

__global__ void AddBlocks(const float* blocks, int64_t num_blocks, int64_t size, double* sum) {
  const int64_t step = int64_t{blockDim.x} * gridDim.x;
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < size; i += step) {
    double total = sum[i];
    for (int64_t b = 0; b < num_blocks; ++b) total += blocks[b * size + i];
    sum[i] = total;
  }
}

}  // namespace

DeviceBuffer<double> GramOnDevice(Context& context, MatrixView<const float> table) {
  const int64_t d = table.cols;
  const int64_t whole = table.rows / kBlockRows;
  const int64_t rest = table.rows % kBlockRows;
  DeviceBuffer<double> gram(context, d * d);
  DeviceBuffer<float> blocks(context, std::min(kBlocksAtATime, whole + 1) * d * d);
  CudaBlas& blas = context.cuda()->blas();
  LaunchShape shape{1, 256};
  shape.blocks = ResidentBlocks(context, AddBlocks, shape, DivideUp(d * d, shape.threads));
  const auto add = [&](int64_t first_row, int64_t count, int64_t rows) {
    blas.GramBlocks(count, rows, d, table.row(first_row), table.stride, blocks.data());
    PENCHANT_LAUNCH(context, shape, AddBlocks, blocks.data(), count, d * d, gram.data());
  };
  for (int64_t first = 0; first < whole; first += kBlocksAtATime) {
    add(first * kBlockRows, std::min(kBlocksAtATime, whole - first), kBlockRows);
  }
  if (rest > 0) add(whole * kBlockRows, 1, rest);
  return gram;
}

std::vector<double> Gram(Context& context, MatrixView<const float> table) {
  return Download(context, GramOnDevice(context, table));
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
