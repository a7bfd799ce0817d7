// Exact top-N items by dot product, with exclusions and deny rules, in a fixed order of ties.
#ifndef PENCHANT_KERNELS_SCORE_TOP_K_H_
#define PENCHANT_KERNELS_SCORE_TOP_K_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

// Items packed for scoring: by falling norm, in panels of 32, factor by factor. The order lets a
// search stop, exactly, once |query| |item| cannot reach the k-th best score any more
// (Cauchy-Schwarz with a margin for rounding).
//
// On CUDA nothing is packed: the index refers to `items`, which must outlive it, or copies a
// subset.
class ItemIndex {
 public:
  // Packs all rows of `items`.
  ItemIndex(Context& context, MatrixView<const float> items);
  // Packs only the rows of `subset` (distinct row numbers; none is allowed).
  ItemIndex(Context& context, MatrixView<const float> items, std::span<const int32_t> subset);

  int64_t num_panels() const { return num_panels_; }
  int64_t depth() const { return depth_; }
  const float* panel(int64_t p) const;
  // Item row of position i of panel p; -1 pads the last panel.
  int32_t row(int64_t p, int i) const;
  // Largest norm in panels p, p + 1, ...
  float norm_bound(int64_t p) const { return norm_bounds_[p]; }
  int64_t num_items() const { return num_items_; }
  int64_t max_id() const { return max_id_; }

  // CUDA: the rows to score, and the item row of each (null: its position).
  MatrixView<const float> cuda_items() const { return cuda_items_; }
  const int32_t* cuda_ids() const { return cuda_ids_.size() > 0 ? cuda_ids_.data() : nullptr; }

 private:
  void Pack(Context& context, MatrixView<const float> items);

  int64_t num_items_ = 0;
  int64_t num_panels_ = 0;
  int64_t depth_ = 0;
  int64_t max_id_ = -1;
  Buffer<float> panels_;
  std::vector<int32_t> ids_;
  std::vector<float> norm_bounds_;
  MatrixView<const float> cuda_items_;
  DeviceMatrix cuda_subset_;
  DeviceBuffer<int32_t> cuda_ids_;
};

// Everything but k lies on the context's device.
struct TopKOptions {
  int64_t k = 10;
  // Row q lists the items never returned for query q, sorted ascending. Null: none.
  const CsrView* exclusions = nullptr;
  // denied[item] != 0: never returned for anyone. Null: none denied.
  const uint8_t* denied = nullptr;
};

// For every query row the k best items, best first; ties go to the smaller item row. Where fewer
// than k items are left, ids are -1 and scores -infinity. ids and scores are queries x k.
// A NaN score is never returned. All pointers are on the context's device. REQUIRES: queries.cols
// == index.depth() before padding.
void TopK(Context& context, MatrixView<const float> queries, const ItemIndex& index,
          const TopKOptions& options, int32_t* ids, float* scores);

// Lists on the host.
struct TopLists {
  std::vector<int32_t> ids;
  std::vector<float> scores;
};

// TopK with queries, exclusions and deny list (of `num_denied` rows) from the host.
TopLists TopKFromHost(Context& context, MatrixView<const float> queries, const ItemIndex& index,
                      const TopKOptions& options, int64_t num_denied);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_TOP_K_H_
