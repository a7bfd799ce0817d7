#include "kernels/score/top_k.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "kernels/base/errors.h"
#include "kernels/base/isa.h"
#include "kernels/cuda_ops.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/score_tile.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(ScoreTileKernels, ScoreTileKernels)

namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr int64_t kQueryGroups = 4;  // groups of tile queries that walk the items together

float Norm(const float* row, int64_t d) {
  double sum = 0;
  for (int64_t k = 0; k < d; ++k) sum += double{row[k]} * double{row[k]};
  return static_cast<float>(std::sqrt(sum));
}

struct Entry {
  float score;
  int32_t id;
};

bool Better(const Entry& a, const Entry& b) {
  return a.score > b.score || (a.score == b.score && a.id < b.id);
}

// The best k entries seen so far: a heap whose front is the worst of them.
class Best {
 public:
  void Reset(int64_t k) {
    k_ = static_cast<size_t>(k);
    entries_.clear();
    entries_.reserve(k_);
  }
  float threshold() const { return entries_.size() < k_ ? kNothing : entries_.front().score; }
  void Offer(const Entry& entry) {
    if (entries_.size() < k_) {
      entries_.push_back(entry);
      if (entries_.size() == k_) std::make_heap(entries_.begin(), entries_.end(), Better);
    } else if (Better(entry, entries_.front())) {
      std::pop_heap(entries_.begin(), entries_.end(), Better);
      entries_.back() = entry;
      std::push_heap(entries_.begin(), entries_.end(), Better);
    }
  }
  void Write(int32_t* ids, float* scores) {
    std::sort(entries_.begin(), entries_.end(), Better);
    for (size_t i = 0; i < k_; ++i) {
      const bool filled = i < entries_.size();
      ids[i] = filled ? entries_[i].id : -1;
      scores[i] = filled ? entries_[i].score : kNothing;
    }
  }

 private:
  size_t k_ = 0;
  std::vector<Entry> entries_;
};

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
    for (int64_t i = block * 4096; i < end; ++i) norms[ids_[i]] = Norm(items.row(ids_[i]), depth_);
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

int32_t ItemIndex::id(int64_t p, int i) const { return ids_[p * kPanelItems + i]; }

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
    return context.cuda()->ops().top_k(context, queries, index, options, ids, scores);
  }
  const ScoreTileKernels& kernels = SelectedScoreTileKernels();
  const int64_t group = kernels.queries;
  const int64_t block = group * kQueryGroups;
  // A dot product of d float32 terms is off by at most about d * 2^-24 |x||y|.
  const float margin = 1.0f + static_cast<float>(index.depth() + 8) * 1.2e-7f;

  context.ParallelFor((queries.rows + block - 1) / block, [&](int64_t b, int) {
    const int64_t begin = b * block;
    const int64_t count = std::min(block, queries.rows - begin);
    const int64_t depth = index.depth();
    const int64_t row_floats = PaddedStride(depth);
    Buffer<float> packed(block * row_floats);
    std::vector<Best> best(block);
    std::vector<float> thresholds(block, std::numeric_limits<float>::infinity());
    std::vector<float> norms(block, 0.0f);
    for (int64_t q = 0; q < count; ++q) {
      std::memcpy(packed.data() + q * row_floats, queries.row(begin + q), depth * sizeof(float));
      norms[q] = Norm(queries.row(begin + q), depth) * margin;
      best[q].Reset(k);
      thresholds[q] = kNothing;
    }
    alignas(64) float tile[kMaxTileQueries][kPanelItems];
    uint32_t candidates[kMaxTileQueries];
    for (int64_t p = 0; p < index.num_panels(); ++p) {
      bool any_active = false;
      for (int64_t g = 0; g < count; g += group) {
        const int64_t group_end = std::min(g + group, count);
        bool active = false;
        for (int64_t q = g; q < group_end; ++q) {
          // Also true where the product is NaN.
          active |= !(norms[q] * index.norm_bound(p) < thresholds[q]);
        }
        if (!active) continue;
        any_active = true;
        kernels.score(packed.data() + g * row_floats, row_floats, index.panel(p), depth,
                      thresholds.data() + g, tile, candidates);
        for (int64_t q = g; q < group_end; ++q) {
          for (uint32_t bits = candidates[q - g]; bits != 0; bits &= bits - 1) {
            const int i = std::countr_zero(bits);
            const Entry entry{tile[q - g][i], index.id(p, i)};
            if (entry.id < 0 || (options.denied && options.denied[entry.id])) continue;
            if (options.exclusions) {
              const auto excluded = options.exclusions->row_indices(begin + q);
              if (std::binary_search(excluded.begin(), excluded.end(), entry.id)) continue;
            }
            best[q].Offer(entry);
          }
          thresholds[q] = best[q].threshold();
        }
      }
      if (!any_active) break;
    }
    for (int64_t q = 0; q < count; ++q) {
      best[q].Write(ids + (begin + q) * k, scores + (begin + q) * k);
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
