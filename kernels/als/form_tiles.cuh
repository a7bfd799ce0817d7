// The forming of a row's system on the tensor cores, a tile a unit of a warp's registers.
#ifndef PENCHANT_KERNELS_ALS_FORM_TILES_CUH_
#define PENCHANT_KERNELS_ALS_FORM_TILES_CUH_

#include "kernels/als/row_gather.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// The tiles that a warp forms: kUnits that follow each other, from the block's number `first` on.
// One warp's systems are one tile. Of two warps, whose systems have three, the first has that below
// the diagonal, the second those on it: their fourth quarters, which are not formed, take no
// registers.
template <int kWarps, int kUnits>
class OwnTiles {
 public:
  __device__ __forceinline__ OwnTiles(int first, int num_tiles) {
    if constexpr (kTwoWarps) {
      places_[0] = WarpIndex() == 0 ? Place(1, 0) : Place(0, 0);
    } else if constexpr (!kSingle) {
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        const int tile = first + WarpIndex() * kUnits + u;
        const int i = TileRow(tile < num_tiles ? tile : 0);
        places_[u] = tile < num_tiles ? Place(i, tile - TileIndex(i, 0)) : kNone;
      }
    }
  }

  // Calls visit(unit, tile row, tile column, whether the unit before it has that row too).
  template <typename Visit>
  __device__ __forceinline__ void ForEach(Visit visit) {
    if constexpr (kSingle) {
      visit(0, 0, 0, false);
    } else {
#pragma unroll
      for (int u = 0; u < kUnits; ++u) {
        int& known = places_[kTwoWarps ? 0 : u];
        ComputeAnew(known);
        const int place =
            kTwoWarps && u == 1 ? (known == Place(0, 0) ? Place(1, 1) : kNone) : known;
        if (place == kNone) continue;
        const int i = place >> 16;
        visit(u, i, place & 0xffff, !kTwoWarps && u > 0 && i == places_[u - 1] >> 16);
      }
    }
  }

  // Whether the unit's tile (i, j) lies on the diagonal.
  __device__ static bool OnDiagonal(int u, int i, int j) { return i == j || (kTwoWarps && u == 1); }

 private:
  static constexpr bool kSingle = kWarps == 1, kTwoWarps = kWarps == 2;
  static_assert((!kSingle || kUnits == 1) && (!kTwoWarps || kUnits == 2));
  static constexpr int kNone = -1;
  __device__ static constexpr int Place(int i, int j) { return i << 16 | j; }

  int places_[kTwoWarps ? 1 : kUnits];  // of two warps' second units, known from the first
};

// Forms the raw tiles of the row's system (contraction alone) and hands each to
// finish(tile row, tile column, sum); of those on the diagonal the 16 x 16 right above is not
// formed. On the long side the right-hand side, D^-1/2 Y'(c p), is formed beside them.
template <int kWarps, int kUnits, int kDepth, bool kShort, typename Element, bool kInTurns,
          typename Finish>
__device__ __forceinline__ void FormTiles(const RowProblem& p, const Observations& row,
                                          const SolveLayout& layout, const Workspace& w, int order,
                                          Finish finish) {
  const int num_tiles = NumTiles(order / kTile);
  using Strips = Strips<kDepth, kShort>;
  constexpr int kFloat = sizeof(float);
  const int line = Strips::Line(layout.padded_factors);
  // More tiles than the block's registers hold are formed in turns, each with a gather of its own.
  const int end = kInTurns ? num_tiles : 1;
  for (int first = 0; first < end; first += kWarps * kUnits) {
    if constexpr (!kShort) ClearOwnRhsParts<kWarps, kDepth>(layout, w);
    TileSum sums[kUnits];
#pragma unroll
    for (int u = 0; u < kUnits; ++u) Clear(sums[u]);
    OwnTiles<kWarps, kUnits> own(first, num_tiles);
    ForEachChunk<kWarps, kDepth, kShort, Element>(p, row, layout, w, [&](int slot) {
      const SharedAddress stage = SharedAddressOf(w.stages + slot * layout.stage);
      // Where this lane's row of a fragment's matrices lies; rows of the system stand side by side
      // in a line on the long side.
      const int lane = LaneIndex();  // asked anew: or places stay in registers while rows arrive
      const int by_eights = (lane % 8 + lane / 16 * 8) * line + lane / 8 % 2 * 4;
      const int by_sixteens = lane % 16 * line + lane / 16 * 4;
      const int left = kShort ? by_sixteens : by_eights, right = kShort ? by_eights : by_sixteens;
      const auto fragment = [&](int k, int block, int lane_row, int m) {
        const int tile = kTile * (kShort ? line : 1);
        const int offset = kShort ? m * 16 * line + k / 2 : k * line + m * 8;
        return LoadFragment<!kShort>(stage + (block * tile + lane_row + offset) * kFloat,
                                     Strips::kSecond * kFloat);
      };
      if constexpr (kWarps == 1) {  // whose only tile leaves registers for two steps
        const HalfFragment above[] = {fragment(0, 0, left, 0), fragment(16, 0, left, 0)};
        const HalfFragment below[] = {fragment(0, 0, left, 1), fragment(16, 0, left, 1)};
        MultiplySame(true, above, below, sums[0]);
      } else {
#pragma unroll(kUnits == 3 ? 2 : 1)
        for (int k = 0; k < kDepth; k += 16) {
          HalfFragment above[1], below[1];
          own.ForEach([&](int u, int i, int j, bool same_row) {
            const bool tall = !kShort || row.count > i * kTile + kBlock;
            if (!same_row) {
              above[0] = fragment(k, i, left, 0);
              if (tall) below[0] = fragment(k, i, left, 1);
            }
            if (own.OnDiagonal(u, i, j)) {
              MultiplySame(tall, above, below, sums[u]);
            } else {
              MultiplyFragments(
                  tall, above[0], below[0], [&](int m) { return fragment(k, j, right, m); },
                  sums[u]);
            }
          });
        }
      }
    });
    own.ForEach([&](int u, int i, int j, bool) { finish(i, j, sums[u]); });
  }
  if constexpr (!kShort) {
#pragma unroll 1
    for (int k = threadIdx.x; k < order; k += kWarps * kWarpSize) {
      w.system.rhs[k] = SumRhsParts(layout, w, k);
    }
  }
  __syncthreads();
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_FORM_TILES_CUH_
