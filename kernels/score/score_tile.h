// The innermost part of top-N: scores of a few queries against one panel of items.
#ifndef PENCHANT_KERNELS_SCORE_SCORE_TILE_H_
#define PENCHANT_KERNELS_SCORE_SCORE_TILE_H_

#include <cstdint>

namespace penchant {

inline constexpr int kMaxTileQueries = 12;
inline constexpr int kPanelItems = 32;

struct ScoreTileKernels {
  int queries;  // queries a call, at most kMaxTileQueries
  // scores[q][i] = query_q . item_i for `queries` rows at `query` (spaced by `stride`) and a panel
  // of kPanelItems items stored factor by factor (depth x kPanelItems). Every score is one chain
  // of additions over the factors in order, so a pair's score does not depend on its neighbours.
  // candidates[q] has bit i set where scores[q][i] >= thresholds[q].
  void (*score)(const float* query, int64_t stride, const float* panel, int64_t depth,
                const float* thresholds, float (*scores)[kPanelItems], uint32_t* candidates);
  // The same, to the bit, for one query alone.
  void (*score_one)(const float* query, int64_t stride, const float* panel, int64_t depth,
                    const float* thresholds, float (*scores)[kPanelItems], uint32_t* candidates);
};

const ScoreTileKernels& SelectedScoreTileKernels();

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_SCORE_TILE_H_
