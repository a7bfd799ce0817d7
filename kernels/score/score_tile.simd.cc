#include "kernels/score/score_tile.h"

#include "kernels/base/simd.h"

namespace penchant {
namespace {

constexpr int kTileQueries = kLanes == 16 ? 12 : 4;
constexpr int kVecs = kLanes >= 8 ? 2 : 4;  // vectors of items held in registers at a time
constexpr int kChunk = kVecs * kLanes;

template <int kQueries>
void Score(const float* query, int64_t stride, const float* panel, int64_t depth,
           const float* thresholds, float (*scores)[kPanelItems], uint32_t* candidates) {
  for (int q = 0; q < kQueries; ++q) candidates[q] = 0;
  for (int i0 = 0; i0 < kPanelItems; i0 += kChunk) {
    Vec sum[kQueries][kVecs] = {};
    for (int64_t k = 0; k < depth; ++k) {
      Vec item[kVecs];
      for (int v = 0; v < kVecs; ++v) item[v] = Load(panel + k * kPanelItems + i0 + v * kLanes);
      for (int q = 0; q < kQueries; ++q) {
        const Vec x = Broadcast(query[q * stride + k]);
        for (int v = 0; v < kVecs; ++v) sum[q][v] += x * item[v];
      }
    }
    for (int q = 0; q < kQueries; ++q) {
      const Vec threshold = Broadcast(thresholds[q]);
      for (int v = 0; v < kVecs; ++v) {
        const int offset = i0 + v * kLanes;
        Store(scores[q] + offset, sum[q][v]);
        candidates[q] |= GreaterEqualBits(sum[q][v], threshold) << offset;
      }
    }
  }
}

}  // namespace

extern const ScoreTileKernels PENCHANT_ISA_SYMBOL(kScoreTileKernels);
const ScoreTileKernels PENCHANT_ISA_SYMBOL(kScoreTileKernels) = {kTileQueries, Score<kTileQueries>,
                                                                 Score<1>};

}  // namespace penchant
