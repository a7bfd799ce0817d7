#include "kernels/als/double_rows.cuh"
#include "kernels/als/solve_kernels.cuh"
#include "kernels/als/solve_rows.h"
#include "kernels/cuda_twins.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// Panels up to this size stay in shared memory until the row is written.
constexpr int64_t kResidentPanelBytes = 56 << 10;

int RoundUpToTile(int64_t n) { return static_cast<int>(DivideUp(n, kTile)) * kTile; }

// The largest |value| of each listed row, a warp a row.
__global__ void LargestValues(const int64_t* offsets, const float* values, const int32_t* rows,
                              int64_t count, float* largest) {
  const int64_t warp = (int64_t{blockIdx.x} * blockDim.x + threadIdx.x) / kWarpSize;
  const int lane = threadIdx.x % kWarpSize;
  if (warp >= count) return;
  const int32_t row = rows[warp];
  float most = 0.0f;
  for (int64_t k = offsets[row] + lane; k < offsets[row + 1]; k += kWarpSize) {
    most = fmaxf(most, fabsf(values[k]));
  }
  most = MaxOverWarp(most);
  if (lane == 0) largest[row] = most;
}

__global__ void RowLambda(const int64_t* offsets, int64_t rows, double regularization,
                          double unobserved, double power, float* lambda) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= rows) return;
  const double n = static_cast<double>(offsets[i + 1] - offsets[i]);
  lambda[i] = static_cast<float>(regularization * pow(n + unobserved, power));
}

// One launch's worth of rows, with what the launches share.
struct Launcher {
  Context& context;
  RowProblem problem;
  RowList rows;  // of the whole plan
  const CudaRowPlan& plan;
  int64_t factors;

  static int64_t Bytes(const SolveLayout& layout) {
    return layout.floats * static_cast<int64_t>(sizeof(float));
  }

  // Tiles stay in shared memory where they fit, and where one turn of kWarps * kUnits forms them
  // all.
  template <int kWarps, int kUnits, int kDepth, bool kShort>
  SolveLayout Layout(int order, int64_t longest) const {
    SolveLayout layout{};
    layout.order = order;
    layout.padded_factors = RoundUpToTile(factors);
    const int rows = order == kTile && longest <= kTile / 2 ? kTile / 2 : order;
    layout.stage = (kShort ? rows : kDepth) * Strips<kDepth, kShort>::Line(layout.padded_factors);
    if (!kShort) {
      const int strips = layout.padded_factors / kTile,
                together = kDepth / Strips<kDepth, kShort>::kLines;
      while (2 << layout.strip_bits <= together && strips << (layout.strip_bits + 1) <= kWarps) {
        ++layout.strip_bits;
      }
    }
    const int chunks = layout.padded_factors / kDepth;
    layout.slots = kShort ? chunks : 2;
    layout.system_in_shared = true;
    layout.Place(kDepth, !kShort);
    if (kShort && chunks > 2 && Bytes(layout) > kResidentPanelBytes) {
      layout.slots = 2;
      layout.Place(kDepth, !kShort);
    }
    layout.system_in_shared = NumTiles(order / kTile) <= kWarps * kUnits &&
                              Bytes(layout) <= context.cuda()->facts().shared_bytes;
    layout.Place(kDepth, !kShort);
    PENCHANT_REQUIRE(Bytes(layout) <= context.cuda()->facts().shared_bytes, factors,
                     " factors take ", Bytes(layout), " bytes of a CUDA block's shared memory, of ",
                     context.cuda()->facts().shared_bytes,
                     "; ask for fewer factors, or use device=\"cpu\"");
    return layout;
  }

  template <int kWarps, int kUnits, int kDepth, bool kShort>
  void Solve(const CudaRowPart& part, int order, const ChunkSums& chunks) const {
    RowList list = rows;
    list.order += part.begin;
    list.count = static_cast<int>(part.end - part.begin);
    const SolveLayout layout = Layout<kWarps, kUnits, kDepth, kShort>(order, part.longest);
    // Only the largest block's tiles may be too many for shared memory.
    if constexpr (kWarps * kUnits > 10) {
      if (!layout.system_in_shared) {
        return Launch<kWarps, kUnits, kDepth, kShort, false>(list, layout, chunks);
      }
    }
    Launch<kWarps, kUnits, kDepth, kShort, true>(list, layout, chunks);
  }

  template <int kWarps, int kUnits, int kDepth, bool kShort, bool kTilesInShared>
  void Launch(const RowList& list, const SolveLayout& layout, const ChunkSums& chunks) const {
    LaunchShape shape{0, kWarps * kWarpSize, Bytes(layout)};
    const auto kernel = SolveRowsKernel<kWarps, kUnits, kDepth, kShort, kTilesInShared>;
    shape.blocks = ResidentBlocks(context, kernel, shape, list.count);
    DeviceBuffer<float> tiles;
    if (!kTilesInShared) {
      const int64_t bytes = layout.system() * static_cast<int64_t>(sizeof(float));
      shape.blocks = std::min(shape.blocks, std::max<int64_t>(1, kGlobalTileBytes / bytes));
      tiles = DeviceBuffer<float>(context, shape.blocks * layout.system());
    }
    const std::string name =
        internal::Concat("SolveRowsKernel<", kWarps, ", ", kUnits, ", ", kDepth,
                         kShort ? ", true" : ", false", kTilesInShared ? ", true>" : ", false>");
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, problem, list, layout, tiles.data(),
                          chunks);
  }

  template <int kWarps, int kUnits, int kDepth>
  void SumChunks(int order, int64_t count, const ChunkSums& chunks) const {
    SolveLayout layout = Layout<kWarps, kUnits, kDepth, false>(order, kChunkObservations);
    layout.system_in_shared = false;  // the tiles go straight to global memory
    layout.Place(kDepth, true);
    LaunchShape shape{0, kWarps * kWarpSize, Bytes(layout)};
    const auto kernel = SumChunksKernel<kWarps, kUnits, kDepth>;
    shape.blocks = ResidentBlocks(context, kernel, shape, count);
    const std::string name =
        internal::Concat("SumChunksKernel<", kWarps, ", ", kUnits, ", ", kDepth, ">");
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, problem, layout,
                          static_cast<int>(count), chunks);
  }

  // Calls launch.operator()<kWarps, kUnits, kDepth>() with the block that suits systems of `order`.
  template <typename Call>
  static void ForOrder(int order, Call call) {
    if (order <= 32) {
      call.template operator()<1, 1, 32>();
    } else if (order <= 64) {
      call.template operator()<4, 1, 32>();
    } else if (order <= 128) {
      call.template operator()<5, 2, 16>();
    } else {
      call.template operator()<12, 3, 16>();
    }
  }

  void SolvePart(const CudaRowPart& part) const {
    const int order = RoundUpToTile(part.short_side ? part.longest : factors);
    ForOrder(order, [&]<int kWarps, int kUnits, int kDepth>() {
      if (part.short_side) {
        Solve<kWarps, kUnits, kDepth, true>(part, order, {});
      } else {
        Solve<kWarps, kUnits, kDepth, false>(part, order, {});
      }
    });
  }

  // Rows in chunks: as many at a time as the chunks' sums have room for.
  void SolvePartInChunks(const CudaRowPart& part) const {
    const int order = RoundUpToTile(factors);
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
      ForOrder(order, [&]<int kWarps, int kUnits, int kDepth>() {
        SumChunks<kWarps, kUnits, kDepth>(order, plan.chunk_begin[end] - plan.chunk_begin[first],
                                          chunks);
        Solve<kWarps, kUnits, kDepth, false>(rows_now, order, chunks);
      });
      first = end;
    }
  }
};

}  // namespace

std::shared_ptr<const SolveReport> SolveRows(Context& context, const AlsObjective& objective,
                                             const FixedSide& fixed, const CsrView& rows,
                                             const RowPlan& plan, MatrixView<float> out) {
  const auto report = std::make_shared<SolveReport>();
  if (rows.rows == 0) return report;
  const CudaRowPlan& cuda = plan.cuda();
  DeviceBuffer<float> lambda(context, rows.rows);
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(rows.rows, 256), 256}), RowLambda, rows.offsets,
                  rows.rows, objective.regularization,
                  objective.unobserved_weight * static_cast<double>(rows.cols),
                  objective.regularization_power, lambda.data());
  // Only the long side asks for these, and the plan lists its rows first.
  DeviceBuffer<float> largest(context, rows.values != nullptr ? rows.rows : 0);
  if (rows.values != nullptr) {
    int64_t long_rows = 0;
    for (const CudaRowPart& part : cuda.parts) {
      if (!part.short_side) long_rows = part.end;
    }
    PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(long_rows * kWarpSize, 256), 256}),
                    LargestValues, rows.offsets, rows.values, cuda.order.data(), long_rows,
                    largest.data());
  }
  DeviceBuffer<int32_t> failed(context, rows.rows);
  DeviceBuffer<int> num_failed(context, 1);
  const RowProblem problem{fixed.table.data,
                           static_cast<int>(fixed.table.stride),
                           static_cast<int>(fixed.table.cols),
                           fixed.eigenvalues,
                           rows.offsets,
                           rows.indices,
                           rows.values,
                           lambda.data(),
                           rows.values != nullptr ? largest.data() : nullptr,
                           static_cast<float>(objective.alpha),
                           static_cast<float>(objective.unobserved_weight),
                           out.data};
  const RowList list{cuda.order.data(), static_cast<int>(rows.rows), failed.data(),
                     num_failed.data()};
  const Launcher launcher{context, problem, list, cuda, fixed.table.cols};
  int64_t longest_side = 1;
  for (const CudaRowPart& part : cuda.parts) {
    if (part.in_chunks) {
      launcher.SolvePartInChunks(part);
    } else {
      launcher.SolvePart(part);
    }
    longest_side = std::max(longest_side, std::min(part.longest, fixed.table.cols));
  }
  const int64_t scratch_stride = longest_side * longest_side + longest_side;
  DeviceBuffer<double> scratch(context, kDoubleBlocks * scratch_stride);
  DeviceBuffer<DoubleStatus> status(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{1, 1}), ResetStatus, status.data());
  PENCHANT_LAUNCH(context, (LaunchShape{kDoubleBlocks, 256}), SolveInDoubleKernel, problem, list,
                  scratch.data(), scratch_stride, status.data());
  CudaDevice& device = *context.cuda();
  device.ReadLater(num_failed.data(), sizeof(int), [report](const void* host) {
    report->retried_rows = *static_cast<const int*>(host);
  });
  device.ReadLater(status.data(), sizeof(DoubleStatus),
                   [report, first = plan.first_row()](const void* host) {
                     const auto& told = *static_cast<const DoubleStatus*>(host);
                     if (told.first_retried != kNoRow) {
                       report->first_retried_row = first + static_cast<int64_t>(told.first_retried);
                     }
                     if (told.first_failed != kNoRow) {
                       ThrowNotPositive(first + static_cast<int64_t>(told.first_failed));
                     }
                   });
  return report;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
