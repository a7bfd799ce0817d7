#include "kernels/score/top_k.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/panel_search.h"

namespace penchant {

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

}  // namespace

ItemIndex::ItemIndex(Context& context, MatrixView<const float> items)
    : num_items_(items.rows), depth_(items.cols), max_id_(items.rows - 1), cuda_items_(items) {
  if (context.cuda()) return;
  ids_.resize(num_items_);
  std::iota(ids_.begin(), ids_.end(), 0);
  Pack(context, items);
}

ItemIndex::ItemIndex(Context& context, MatrixView<const float> items,
                     std::span<const int32_t> subset)
    : num_items_(static_cast<int64_t>(subset.size())),
      depth_(items.cols),
      ids_(subset.begin(), subset.end()) {
  for (int32_t id : subset) {
    PENCHANT_REQUIRE(id >= 0 && id < items.rows, "item row ", id, " is outside [0, ", items.rows,
                     ")");
    max_id_ = std::max<int64_t>(max_id_, id);
  }
  if (!context.cuda()) {
    Pack(context, items);
    return;
  }
  cuda_ids_ = Upload<int32_t>(context, ids_);
  cuda_subset_ = DeviceMatrix(context, num_items_, items.cols);
  GatherRows(context, items, cuda_ids_.data(), cuda_subset_.view());
  cuda_items_ = cuda_subset_.view();
}

void ItemIndex::Pack(Context& context, MatrixView<const float> items) {
  num_panels_ = (num_items_ + kPanelItems - 1) / kPanelItems;
  panels_ = Buffer<float>(num_panels_ * kPanelItems * items.cols);
  ids_.resize(num_panels_ * kPanelItems, -1);
  norm_bounds_.resize(num_panels_ + 1, 0.0f);
  std::vector<float> norms(items.rows);
  context.ParallelFor((num_items_ + 4095) / 4096, [&](int64_t block, int) {
    const int64_t end = std::min(num_items_, (block + 1) * 4096);
    for (int64_t i = block * 4096; i < end; ++i)
      norms[ids_[i]] = RowNorm(items.row(ids_[i]), depth_);
  });
  const auto order = [&](int32_t a, int32_t b) {
    // NaN norms first: their panels are then always visited, and never bound anything.
    const bool nan_a = std::isnan(norms[a]), nan_b = std::isnan(norms[b]);
    if (nan_a || nan_b) return nan_a && (!nan_b || a < b);
    return norms[a] > norms[b] || (norms[a] == norms[b] && a < b);
  };
  std::sort(ids_.begin(), ids_.begin() + num_items_, order);
  for (int64_t p = num_panels_ - 1; p >= 0; --p) {
    const float norm = norms[ids_[p * kPanelItems]];
    norm_bounds_[p] = std::isnan(norm) ? std::numeric_limits<float>::infinity() : norm;
  }
  context.ParallelFor(num_panels_, [&](int64_t p, int) {
    float* out = panels_.data() + p * kPanelItems * depth_;
    for (int i = 0; i < kPanelItems; ++i) {
      const int32_t item = ids_[p * kPanelItems + i];
      if (item < 0) continue;
      const float* row = items.row(item);
      for (int64_t k = 0; k < depth_; ++k) out[k * kPanelItems + i] = row[k];
    }
  });
}

const float* ItemIndex::panel(int64_t p) const { return panels_.data() + p * kPanelItems * depth_; }

int32_t ItemIndex::row(int64_t p, int i) const { return ids_[p * kPanelItems + i]; }

void TopK(Context& context, MatrixView<const float> queries, const ItemIndex& index,
          const TopKOptions& options, int32_t* ids, float* scores) {
  const int64_t k = options.k;
  PENCHANT_REQUIRE(k >= 1, "the number of recommendations must be at least 1; got ", k);
  PENCHANT_REQUIRE(queries.cols == index.depth(), "queries have ", queries.cols,
                   " factors, the items ", index.depth());
  PENCHANT_REQUIRE(options.exclusions == nullptr || options.exclusions->rows == queries.rows,
                   "exclusions have ", options.exclusions ? options.exclusions->rows : 0,
                   " rows for ", queries.rows, " queries");
  if (context.cuda()) {
    return context.cuda()->ops()->top_k(context, queries, index, options, ids, scores);
  }
  const int64_t block = SearchBlock();
  context.ParallelFor((queries.rows + block - 1) / block, [&](int64_t b, int) {
    const int64_t begin = b * block;
    const int64_t count = std::min(block, queries.rows - begin);
    std::vector<BestRows> best(count, BestRows(k));
    const auto admit = [&](int64_t q, int32_t row) {
      if (options.denied && options.denied[row]) return false;
      if (options.exclusions == nullptr) return true;
      const auto excluded = options.exclusions->row_indices(begin + q);
      return !std::binary_search(excluded.begin(), excluded.end(), row);
    };
    SearchPanels(index, {queries.row(begin), count, queries.cols, queries.stride}, admit,
                 best.data());
    for (int64_t q = 0; q < count; ++q) {
      const std::vector<ScoredRow> found = best[q].Take();
      for (int64_t i = 0; i < k; ++i) {
        const bool filled = i < static_cast<int64_t>(found.size());
        ids[(begin + q) * k + i] = filled ? found[i].row : -1;
        scores[(begin + q) * k + i] = filled ? found[i].score : kNothing;
      }
    }
  });
}

TopLists TopKFromHost(Context& context, MatrixView<const float> queries, const ItemIndex& index,
                      const TopKOptions& options, int64_t num_denied) {
  PENCHANT_REQUIRE(options.k >= 1, "the number of recommendations must be at least 1; got ",
                   options.k);
  const int64_t size = queries.rows * options.k;
  TopLists lists;
  if (!context.cuda()) {
    lists.ids.resize(size);
    lists.scores.resize(size);
    TopK(context, queries, index, options, lists.ids.data(), lists.scores.data());
    return lists;
  }
  TopKOptions on_device = options;
  const DeviceMatrix table(context, queries);
  DeviceCsr exclusions;
  if (options.exclusions != nullptr) {
    exclusions = DeviceCsr(context, *options.exclusions);
    on_device.exclusions = &exclusions.view();
  }
  DeviceBuffer<uint8_t> denied;
  if (options.denied != nullptr) {
    denied = Upload<uint8_t>(context, {options.denied, static_cast<size_t>(num_denied)});
    on_device.denied = denied.data();
  }
  DeviceBuffer<int32_t> ids(context, size);
  DeviceBuffer<float> scores(context, size);
  TopK(context, table.view(), index, on_device, ids.data(), scores.data());
  lists.ids = Download(context, ids);
  lists.scores = Download(context, scores);
  return lists;
}

}  // namespace penchant
