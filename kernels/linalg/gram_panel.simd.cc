#include "kernels/linalg/gram_panel.h"

#include "kernels/linalg/gram_tile.simd.h"

namespace penchant {
namespace {

void AccumulateGram(const float* panel, int64_t count, int64_t stride, float* gram) {
  for (int64_t i0 = 0; i0 < stride; i0 += kGramRows) {
    for (int64_t j0 = 0; j0 <= i0 + kGramRows - kGramColumns; j0 += kGramColumns) {
      GramTile sums;
      ComputeGramTileAt(panel, i0, j0, count, stride, &sums);
      // Column j of the lower triangle is row j of the (symmetric) upper one: contiguous stores.
      for (int c = 0; c < kGramColumns; ++c) {
        float* out = gram + (j0 + c) * stride + i0;
        for (int v = 0; v < kGramVecs; ++v) {
          Store(out + v * kLanes, Load(out + v * kLanes) + sums.sum[c][v]);
        }
      }
    }
  }
}

}  // namespace

extern const AccumulateGramKernel PENCHANT_ISA_SYMBOL(kAccumulateGram);
const AccumulateGramKernel PENCHANT_ISA_SYMBOL(kAccumulateGram) = AccumulateGram;

}  // namespace penchant
