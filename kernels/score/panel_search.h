// The walk behind top-N on the CPU: a few queries against items in panels (score_tile.h).
#ifndef PENCHANT_KERNELS_SCORE_PANEL_SEARCH_H_
#define PENCHANT_KERNELS_SCORE_PANEL_SEARCH_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/base/memory.h"
#include "kernels/base/view.h"
#include "kernels/score/score_tile.h"

namespace penchant {

struct ScoredRow {
  float score;
  int32_t row;
};

// Ties go to the smaller row.
inline bool Better(const ScoredRow& a, const ScoredRow& b) {
  return a.score > b.score || (a.score == b.score && a.row < b.row);
}

// The best k rows seen so far: a heap whose front is the worst of them.
class BestRows {
 public:
  explicit BestRows(int64_t k) : k_(static_cast<size_t>(k)) {}

  // What a row must reach to matter.
  float threshold() const {
    return rows_.size() < k_ ? -std::numeric_limits<float>::infinity() : rows_.front().score;
  }
  void Offer(const ScoredRow& row) {
    if (rows_.size() < k_) {
      rows_.push_back(row);
      if (rows_.size() == k_) std::make_heap(rows_.begin(), rows_.end(), Better);
    } else if (Better(row, rows_.front())) {
      std::pop_heap(rows_.begin(), rows_.end(), Better);
      rows_.back() = row;
      std::push_heap(rows_.begin(), rows_.end(), Better);
    }
  }
  // Best first; at most k. The list is used up.
  std::vector<ScoredRow> Take() {
    std::sort(rows_.begin(), rows_.end(), Better);
    return std::move(rows_);
  }

 private:
  size_t k_;
  std::vector<ScoredRow> rows_;
};

inline float RowNorm(const float* row, int64_t d) {
  double sum = 0;
  for (int64_t k = 0; k < d; ++k) sum += double{row[k]} * double{row[k]};
  return static_cast<float>(std::sqrt(sum));
}

// Queries that walk the items together.
inline int64_t SearchBlock() {
  constexpr int64_t kGroups = 4;
  return kGroups * SelectedScoreTileKernels().queries;
}

// Offers to best[q] every item that could matter to query q and that admit(q, row) lets through.
// At most SearchBlock() queries. `Panels` has
//   int64_t num_panels(), depth();
//   const float* panel(p)   64-byte aligned, depth x kPanelItems; valid until the next call
//   int32_t row(p, i)       the item at position i, -1 where there is none
//   float norm_bound(p)     the largest norm in panels p, p + 1, ...; infinity: unknown
// A NaN score is never offered. A pair's score does not depend on the other queries.
template <typename Panels, typename Admit>
void SearchPanels(Panels& panels, MatrixView<const float> queries, const Admit& admit,
                  BestRows* best) {
  const ScoreTileKernels& kernels = SelectedScoreTileKernels();
  const int64_t group = queries.rows == 1 ? 1 : kernels.queries;
  const int64_t block = (queries.rows + group - 1) / group * group;
  const int64_t depth = panels.depth(), row_floats = PaddedStride(depth);
  // A dot product of d float32 terms is off by at most about d * 2^-24 |x||y|.
  const float margin = 1.0f + static_cast<float>(depth + 8) * 1.2e-7f;
  Buffer<float> packed(block * row_floats);
  std::vector<float> thresholds(block, std::numeric_limits<float>::infinity());
  std::vector<float> norms(block, 0.0f);
  for (int64_t q = 0; q < queries.rows; ++q) {
    std::memcpy(packed.data() + q * row_floats, queries.row(q), depth * sizeof(float));
    norms[q] = RowNorm(queries.row(q), depth) * margin;
    thresholds[q] = best[q].threshold();
  }
  alignas(64) float tile[kMaxTileQueries][kPanelItems];
  uint32_t candidates[kMaxTileQueries];
  for (int64_t p = 0; p < panels.num_panels(); ++p) {
    const float* panel = nullptr;
    for (int64_t g = 0; g < queries.rows; g += group) {
      const int64_t group_end = std::min(g + group, queries.rows);
      bool active = false;
      for (int64_t q = g; q < group_end; ++q) {
        // Also true where the product is NaN.
        active |= !(norms[q] * panels.norm_bound(p) < thresholds[q]);
      }
      if (!active) continue;
      if (panel == nullptr) panel = panels.panel(p);
      (group == 1 ? kernels.score_one : kernels.score)(packed.data() + g * row_floats, row_floats,
                                                       panel, depth, thresholds.data() + g, tile,
                                                       candidates);
      for (int64_t q = g; q < group_end; ++q) {
        if (candidates[q - g] == 0) continue;
        for (uint32_t bits = candidates[q - g]; bits != 0; bits &= bits - 1) {
          const int i = std::countr_zero(bits);
          const ScoredRow found{tile[q - g][i], panels.row(p, i)};
          if (found.row >= 0 && admit(q, found.row)) best[q].Offer(found);
        }
        thresholds[q] = best[q].threshold();
      }
    }
    if (panel == nullptr) break;
  }
}

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_PANEL_SEARCH_H_
