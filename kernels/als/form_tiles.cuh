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

  // The first unit's tile row; 0 without one.
  __device__ __forceinline__ int FirstRow() const { return kSingle ? 0 : max(places_[0], 0) >> 16; }

  // Calls visit(unit, tile row, tile column, whether the unit before it, if any, has another row).
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
        visit(u, i, place & 0xffff, u > 0 && (kTwoWarps || i != places_[u - 1] >> 16));
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
__device__ __forceinline__ void FormTiles(const RowProblem& p, const SolveLayout& layout,
                                          const Workspace& w, int order, Finish finish) {
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
    ForEachChunk<kWarps, kDepth, kShort, Element>(p, layout, w, [&](int slot) {
      const SharedAddress stage = SharedAddressOf(w.stages + slot * layout.stage);
      // Rows of the system stand side by side in a line on the long side.
      const int eight = kShort ? 8 * line : 4, tile = kShort ? kTile * line : kTile;
      constexpr int kSteps = kDepth / 16;
      HalfFragment above[kSteps], below[kSteps];
      // Asked anew, or the places of its matrices' rows stay in registers: while rows arrive, and
      // two warps' until their second row.
      const int asked = LaneIndex();
      const auto load_row = [&](int i) {
        const int lane = kWarps == 2 ? LaneIndex() : asked;
        const int left = kShort ? lane % 16 * line + lane / 16 * 4
                                : (lane % 8 + lane / 16 * 8) * line + lane / 8 % 2 * 4;
        const SharedAddress at = stage + (i * tile + left) * kFloat;
#pragma unroll
        for (int k = 0; k < kSteps; ++k) {
          const SharedAddress step = at + k * (kShort ? 8 : 16 * line) * kFloat;
          above[k] = LoadFragment<!kShort>(step, Strips::kSecond * kFloat);
          below[k] = LoadFragment<!kShort>(step + 2 * eight * kFloat, Strips::kSecond * kFloat);
        }
      };
      const int right = kShort ? asked % 8 * line + asked / 8 * 4
                               : asked % kDepth * line + asked / kDepth * Strips::kSecond;
      const auto place = [&](int j, int n) {
        return stage + (j * tile + right + n * eight) * kFloat;
      };
      load_row(own.FirstRow());
      const int observations = kShort ? w.row->observations.count : 0;
      own.ForEach([&](int u, int i, int j, bool new_row) {
        if (new_row) load_row(i);
        const bool tall = kWarps == 1 || !kShort || observations > i * kTile + kBlock;
        if (own.OnDiagonal(u, i, j)) {
          // Registers hold them already, in a left operand's order: moved or loaded once more, as
          // instructions and shared memory allow.
          const auto same = [&](int n) {
            EightRows<kSteps> rows = EightRowsOf(n < 2 ? above : below, n % 2);
            if constexpr (kShort && kWarps <= 2) LoadMatrices<!kShort>(place(i, n), rows.high);
            return rows;
          };
          MultiplyTile<true>(tall, above, below, same, sums[u]);
        } else {
          const auto others = [&](int n) {
            return LoadEightRows<!kShort, kSteps>(place(j, n), Strips::kSecond * kFloat);
          };
          MultiplyTile<false>(tall, above, below, others, sums[u]);
        }
      });
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
