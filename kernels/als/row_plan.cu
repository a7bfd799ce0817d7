#include "kernels/als/row_plan.h"
#include "kernels/als/tile_product.cuh"
#include "kernels/base/thrust.cuh"
#include "kernels/cuda_twins.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

__global__ void RowLengths(const int64_t* offsets, int64_t rows, int64_t* lengths, int32_t* order) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  lengths[i] = offsets[i + 1] - offsets[i];
  order[i] = static_cast<int32_t>(i);
}

// Splits the rows of a part into chunks of equal size, at most kChunkObservations long.
void PlanChunks(Context& context, std::span<const int64_t> lengths, std::span<const int32_t> order,
                CudaRowPlan* plan) {
  std::vector<RowChunk> chunks;
  plan->chunk_begin = {0};
  for (size_t k = 0; k < lengths.size(); ++k) {
    const int64_t count = DivideUp(lengths[k], kChunkObservations);
    const int64_t size = DivideUp(DivideUp(lengths[k], count), kTile) * kTile;
    for (int64_t first = 0; first < lengths[k]; first += size) {
      chunks.push_back({order[k], static_cast<int32_t>(std::min(size, lengths[k] - first)), first});
    }
    plan->chunk_begin.push_back(static_cast<int64_t>(chunks.size()));
  }
  plan->chunks = Upload<RowChunk>(context, chunks);
  plan->chunk_begin_on_device = Upload<int64_t>(context, plan->chunk_begin);
}

}  // namespace

CudaRowPlan PlanRows(Context& context, const CsrView& rows, int64_t factors) {
  CudaRowPlan plan;
  plan.order = DeviceBuffer<int32_t>(context, rows.rows);
  if (rows.rows == 0) return plan;
  DeviceBuffer<int64_t> lengths(context, rows.rows);
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(rows.rows, 256), 256}), RowLengths, rows.offsets,
                  rows.rows, lengths.data(), plan.order.data());
  StableSortByKey(context, lengths.data(), plan.order.data(), rows.rows, /*descending=*/true);
  // Where the rows of at most `bound` observations begin.
  const auto first_within = [&](int64_t bound) {
    return FirstAtMostInDescending(context, lengths.data(), rows.rows, bound);
  };
  const auto add = [&](int64_t begin, int64_t end, bool short_side, bool in_chunks) {
    if (begin == end) return;
    const int64_t longest = Download(context, lengths.data() + begin, 1)[0];
    plan.parts.push_back({begin, end, longest, short_side, in_chunks});
  };
  const int64_t in_chunks = first_within(std::max(kChunkObservations, factors));
  const int64_t long_end = first_within(factors);
  if (in_chunks > 0) {
    PlanChunks(context, Download(context, lengths.data(), in_chunks),
               Download(context, plan.order.data(), in_chunks), &plan);
  }
  add(0, in_chunks, false, true);
  add(in_chunks, long_end, false, false);
  int64_t begin = long_end;
  // Where the kernels change: at kPairLines, then as RowLauncher::ForOrder says.
  for (int64_t bound : {256, 160, 128, 64, 32, 16, 0}) {
    if (bound >= factors) continue;
    const int64_t end = first_within(bound);
    add(begin, end, true, false);
    begin = end;
  }
  plan.first_empty = begin;
  return plan;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
