// How gathered rows lie in shared memory, while they arrive and when they are split.
#ifndef PENCHANT_KERNELS_ALS_STRIPS_CUH_
#define PENCHANT_KERNELS_ALS_STRIPS_CUH_

#include "kernels/als/row_problem.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// How the gathered rows lie in a stage, a line each: in strips of kWidth columns, of which every
// eight are a unit. While floats arrive, the units' first fours lie in a strip's first half, one
// after the other, and their second fours in the other; split, their highs and their lows. Units
// of bfloat16 arrive whole where their highs will be.
// Copies and splits are shared out by warps, kLines strips below each other at a time, so that the
// eight lanes whose 16 bytes move together have all of the banks.
template <int kDepth, bool kShort>
struct Strips {
  static constexpr int kWidth = kShort ? kDepth : kTile;
  static constexpr int kSecond = kWidth / 2;  // floats from a unit's first half to its second
  static constexpr int kLines = 2 * kWarpSize / (kWidth / 4);
  static_assert(kWidth == 16 || kWidth == 32);

  // Floats between lines: an odd number of 16 bytes, so that the eight rows of a matrix that
  // ldmatrix loads lie in different banks too.
  __host__ __device__ static int Line(int padded_factors) {
    return (kShort ? kDepth : padded_factors) + 4;
  }
  // The unit that a lane splits, and its line.
  __device__ static int SplitUnit(int lane) { return lane % (kWidth / 8); }
  __device__ static int SplitLine(int lane) {
    return kWidth == 16 ? lane / 2 % 4 * 2 + lane / 8 % 2 + lane / 16 * 8
                        : lane / 4 % 2 * 4 + lane / 8;
  }

  // What a lane copies in each turn: 16 bytes, from a column of the strip on, to a place in it.
  // Floats take two turns; a unit of bfloat16 is copied by the lane that splits it.
  template <typename Element>
  struct Copies {
    static constexpr bool kFloats = sizeof(Element) == sizeof(float);
    static constexpr int kTurns = kFloats ? 2 : 1;

    __device__ static int Column(int lane) {
      return kFloats ? lane % (kWidth / 4) * 4 : SplitUnit(lane) * 8;
    }
    __device__ static int Place(int lane) {
      const int four = lane % (kWidth / 4);
      return kFloats ? four % 2 * kSecond + four / 2 * 4 : SplitUnit(lane) * 4;
    }
    __device__ static int Line(int lane, int turn) {
      return kFloats ? turn * kLines / 2 + lane / 8 + (kWidth == 16 ? lane / 4 % 2 * 4 : 0)
                     : SplitLine(lane);
    }
  };
};

// The stage of chunk `c`: there are two, in turns.
__device__ __forceinline__ int SlotOf(int c) { return c & 1; }
// That of a chunk of a pair: every chunk may have one.
__device__ __forceinline__ int PairSlotOf(const SolveLayout& layout, int c) {
  return layout.slots == 2 ? SlotOf(c) : c;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_ALS_STRIPS_CUH_
