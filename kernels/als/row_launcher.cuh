// Which kernel solves which part of a plan, and with how much shared memory.
#ifndef PENCHANT_KERNELS_ALS_ROW_LAUNCHER_CUH_
#define PENCHANT_KERNELS_ALS_ROW_LAUNCHER_CUH_

#include <algorithm>
#include <string>

#include "kernels/als/pair_kernel.cuh"
#include "kernels/als/solve_kernels.cuh"
#include "kernels/als/solve_rows.h"
#include "kernels/base/cuda.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// Panels of pairs up to this size stay in shared memory until their rows are written.
inline constexpr int64_t kResidentPanelBytes = 10 << 10;

// The launches of a plan, and what they share; the table is read in elements of this type.
template <typename Element>
struct RowLauncher {
  Context& context;
  RowProblem problem;
  RowList rows;  // of the whole plan
  const CudaRowPlan& plan;

  static constexpr const char* kElement = sizeof(Element) == sizeof(float) ? "float" : "Bfloat16";

  // Blocks of shallow chunks are those whose tiles lie in global memory.
  template <int kDepth>
  static constexpr bool kTilesInShared = kDepth == 32;

  static int64_t Bytes(const SolveLayout& layout) {
    return layout.floats * static_cast<int64_t>(sizeof(float));
  }

  bool Fits(const SolveLayout& layout) const {
    return Bytes(layout) <= context.cuda()->facts().shared_bytes;
  }

  template <int kWarps, int kUnits, int kDepth, bool kShort>
  SolveLayout Layout(int order) const {
    SolveLayout layout{};
    layout.order = order;
    layout.padded_factors = RoundUpToTile(problem.factors);
    layout.stage = (kShort ? order : kDepth) * Strips<kDepth, kShort>::Line(layout.padded_factors);
    if (!kShort) {
      const int strips = layout.padded_factors / kTile,
                together = kDepth / Strips<kDepth, kShort>::kLines;
      while (2 << layout.strip_bits <= together && strips << (layout.strip_bits + 1) <= kWarps) {
        ++layout.strip_bits;
      }
    }
    layout.slots = 2;
    if (kShort) {
      layout.four_bits = 3;
      while (2 << layout.four_bits <= kWarps * kWarpSize &&
             4 << layout.four_bits < problem.stride) {
        ++layout.four_bits;
      }
    }
    layout.Place(kDepth, !kShort, kTilesInShared<kDepth> ? layout.system() : 0);
    return layout;
  }

  LaunchShape Shape(int warps, const SolveLayout& layout) const {
    PENCHANT_REQUIRE(Fits(layout), problem.factors, " factors take ", Bytes(layout),
                     " bytes of a CUDA block's shared memory, of ",
                     context.cuda()->facts().shared_bytes,
                     "; ask for fewer factors, or use device=\"cpu\"");
    return {0, warps * kWarpSize, Bytes(layout)};
  }

  template <int kWarps, int kUnits, int kDepth, bool kShort>
  void Solve(const CudaRowPart& part, int order, const ChunkSums& chunks) const {
    RowList list = rows;
    list.order += part.begin;
    list.count = static_cast<int>(part.end - part.begin);
    const SolveLayout layout = Layout<kWarps, kUnits, kDepth, kShort>(order);
    LaunchShape shape = Shape(kWarps, layout);
    const auto kernel =
        SolveRowsKernel<kWarps, kUnits, kDepth, kShort, Element, kTilesInShared<kDepth>>;
    shape.blocks = ResidentBlocks(context, kernel, shape, list.count);
    DeviceBuffer<float> tiles;
    if (!kTilesInShared<kDepth>) {
      const int64_t bytes = layout.system() * static_cast<int64_t>(sizeof(float));
      shape.blocks = std::min(shape.blocks, std::max<int64_t>(1, kGlobalTileBytes / bytes));
      tiles = DeviceBuffer<float>(context, shape.blocks * layout.system());
    }
    const std::string name = internal::Concat("SolveRowsKernel<", kWarps, ", ", kUnits, ", ",
                                              kDepth, kShort ? ", true, " : ", false, ", kElement,
                                              kTilesInShared<kDepth> ? ", true>" : ", false>");
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, problem, list, layout, tiles.data(),
                          chunks);
  }

  void SolvePairs(const CudaRowPart& part) const {
    SolveLayout layout = Layout<1, 1, 32, true>(kTile);
    const int chunks = layout.padded_factors / 32;
    layout.panel_stays = chunks * layout.stage * 4 <= kResidentPanelBytes;
    if (layout.panel_stays) layout.slots = (chunks + 1) / 2 * 2;
    layout.Place(32, false, kTileFloats / 2, 2);
    RowList list = rows;
    list.order += part.begin;
    list.count = static_cast<int>(part.end - part.begin);
    LaunchShape shape = Shape(1, layout);
    const auto kernel = SolvePairsKernel<Element>;
    shape.blocks = ResidentBlocks(context, kernel, shape, DivideUp(list.count, 2));
    const std::string name = internal::Concat("SolvePairsKernel<", kElement, ">");
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, problem, list, layout);
  }

  template <int kWarps, int kUnits, int kDepth>
  void SumChunks(int order, int64_t count, const ChunkSums& chunks) const {
    SolveLayout layout = Layout<kWarps, kUnits, kDepth, false>(order);
    layout.Place(kDepth, true, 0);  // the tiles go straight to global memory
    LaunchShape shape = Shape(kWarps, layout);
    const auto kernel = SumChunksKernel<kWarps, kUnits, kDepth, Element>;
    shape.blocks = ResidentBlocks(context, kernel, shape, count);
    const std::string name = internal::Concat("SumChunksKernel<", kWarps, ", ", kUnits, ", ",
                                              kDepth, ", ", kElement, ">");
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, problem, layout,
                          static_cast<int>(count), chunks);
  }

  // Calls launch.operator()<kWarps, kUnits, kDepth>() with the block that suits systems of `order`.
  template <bool kShort, typename Call>
  void ForOrder(int order, Call call) const {
    if (order <= 32) {
      call.template operator()<1, 1, 32>();
    } else if (order <= 64) {
      call.template operator()<2, 2, 32>();
    } else if (order <= 128) {
      call.template operator()<4, 3, 32>();
    } else if (order <= 160) {
      call.template operator()<5, 3, 32>();  // two of which fit on a multiprocessor
    } else if (NumTiles(order / kTile) <= 12 * 3 && Fits(Layout<12, 3, 32, kShort>(order))) {
      call.template operator()<12, 3, 32>();  // whose registers form all tiles in one turn
    } else {
      call.template operator()<12, 3, 16>();
    }
  }

  void SolvePart(const CudaRowPart& part) const {
    if (part.short_side && part.longest <= kPairLines) return SolvePairs(part);
    const int order = RoundUpToTile(part.short_side ? part.longest : problem.factors);
    if (part.short_side) {
      SolveSide<true>(part, order);
    } else {
      SolveSide<false>(part, order);
    }
  }

  template <bool kShort>
  void SolveSide(const CudaRowPart& part, int order) const {
    ForOrder<kShort>(order, [&]<int kWarps, int kUnits, int kDepth>() {
      Solve<kWarps, kUnits, kDepth, kShort>(part, order, {});
    });
  }

  // Rows in chunks: as many at a time as the chunks' sums have room for.
  void SolvePartInChunks(const CudaRowPart& part) const {
    const int order = RoundUpToTile(problem.factors);
    ChunkSums chunks{};
    chunks.stride = NumTiles(order / kTile) * kTileFloats + order;
    const int64_t room = std::max<int64_t>(
        1, kChunkSumBytes / (chunks.stride * static_cast<int64_t>(sizeof(float))));
    int64_t longest = 0;
    for (int64_t k = part.begin; k < part.end; ++k) {
      longest = std::max(longest, plan.chunk_begin[k + 1] - plan.chunk_begin[k]);
    }
    const int64_t all = plan.chunk_begin[part.end] - plan.chunk_begin[part.begin];
    DeviceBuffer<float> sums(context, std::min(all, std::max(room, longest)) * chunks.stride);
    chunks.sums = sums.data();
    for (int64_t first = part.begin; first < part.end;) {
      int64_t end = first + 1;
      while (end < part.end && plan.chunk_begin[end + 1] - plan.chunk_begin[first] <= room) ++end;
      chunks.chunks = plan.chunks.data() + plan.chunk_begin[first];
      chunks.chunk_begin = plan.chunk_begin_on_device.data() + first;
      const CudaRowPart rows_now{first, end, part.longest, false, true};
      ForOrder<false>(order, [&]<int kWarps, int kUnits, int kDepth>() {
        SumChunks<kWarps, kUnits, kDepth>(order, plan.chunk_begin[end] - plan.chunk_begin[first],
                                          chunks);
        Solve<kWarps, kUnits, kDepth, false>(rows_now, order, chunks);
      });
      first = end;
    }
  }
};

template <typename Element>
void LaunchRowSolves(Context& context, const RowProblem& problem, const RowList& rows,
                     const CudaRowPlan& plan) {
  const RowLauncher<Element> launcher{context, problem, rows, plan};
  for (const CudaRowPart& part : plan.parts) {
    if (part.in_chunks) {
      launcher.SolvePartInChunks(part);
    } else {
      launcher.SolvePart(part);
    }
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_ROW_LAUNCHER_CUH_
