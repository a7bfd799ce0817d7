// A row's observations in shared memory, chunk by chunk, by copies or through registers.
#ifndef PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
#define PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_

#include "kernels/als/gather_by_copies.cuh"
#include "kernels/als/gather_by_loads.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Calls visit(slot) for every chunk of the block's row, gathered and split. Every visit is between
// barriers.
template <int kWarps, int kDepth, bool kShort, typename Element, typename Visit>
__device__ __forceinline__ void ForEachChunk(const RowProblem& p, const SolveLayout& layout,
                                             const Workspace& w, Visit visit) {
  const int contraction = kShort ? layout.padded_factors : w.row->observations.count;
  const int chunks = (contraction + kDepth - 1) / kDepth;
  if constexpr (kShort && kWarps <= 2) {
#pragma unroll 1
    for (int c = 0; c < chunks; c += 2) {
      GatherTwoChunks<kWarps, Element>(p, layout, w, c);
      __syncthreads();
#pragma unroll 1
      for (int v = c; v < c + 2 && v < chunks; ++v) visit(SlotOf(v));
      __syncthreads();
    }
  } else {
    const auto own = [&] {
      return OwnShare<kWarps, kDepth, kShort>(layout, w.row->observations.count);
    };
    StartCopies<kWarps, kDepth, kShort, Element>(p, layout, w, own(), 0);
    // The confidences; those of later chunks have time enough.
    if constexpr (!kShort) __syncthreads();
    for (int c = 0; c < chunks; ++c) {
      const StageShare share = own();
      if (c + 1 < chunks) {
        StartCopies<kWarps, kDepth, kShort, Element>(p, layout, w, share, c + 1);
        WaitForCopies<1>();
      } else {
        WaitForCopies<0>();
      }
      SplitOwnCopies<kWarps, kDepth, kShort, Element>(layout, w, share, c);
      __syncthreads();
      visit(SlotOf(c));
      __syncthreads();
    }
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_GATHER_CUH_
