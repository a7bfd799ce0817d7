// Items in panels, for SearchPanels (kernels/score/panel_search.h), out of a packed table.
#ifndef PENCHANT_IO_READER_PANELS_H_
#define PENCHANT_IO_READER_PANELS_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "io/artifact/packed_table.h"
#include "kernels/base/memory.h"

namespace penchant {

// What all sources of panels share. Not thread-safe: one a search.
class PanelSource {
 public:
  int64_t depth() const { return table_.shape().cols; }
  float norm_bound(int64_t) const { return std::numeric_limits<float>::infinity(); }

 protected:
  explicit PanelSource(const PackedTableView& table)
      : table_(table), scratch_(kPanelItems * table.shape().cols) {}

  const PackedTableView& table_;
  Buffer<float> scratch_;
};

// All rows of a table.
class AllRows : public PanelSource {
 public:
  explicit AllRows(const PackedTableView& table) : PanelSource(table) {}
  int64_t num_panels() const { return table_.shape().num_panels(); }
  const float* panel(int64_t p) { return table_.Panel(p, scratch_.data()); }
  int32_t row(int64_t p, int i) const {
    const int64_t row = p * kPanelItems + i;
    return row < table_.shape().rows ? static_cast<int32_t>(row) : -1;
  }
};

// All rows, brought to length 1, without the bias where the last factor is one.
class AllDirections : public AllRows {
 public:
  AllDirections(const PackedTableView& table, bool has_biases)
      : AllRows(table), cols_(table.shape().cols - (has_biases ? 1 : 0)) {}
  const float* panel(int64_t p) {
    const float* rows = table_.Panel(p, scratch_.data());
    float squares[kPanelItems] = {};
    for (int64_t k = 0; k < cols_; ++k) {
      for (int i = 0; i < kPanelItems; ++i) {
        squares[i] += rows[k * kPanelItems + i] * rows[k * kPanelItems + i];
      }
    }
    for (float& square : squares) square = square > 0 ? 1.0f / std::sqrt(square) : 0.0f;
    for (int64_t k = 0; k < cols_; ++k) {
      for (int i = 0; i < kPanelItems; ++i) {
        scratch_[k * kPanelItems + i] = rows[k * kPanelItems + i] * squares[i];
      }
    }
    std::fill(scratch_.data() + cols_ * kPanelItems, scratch_.end(), 0.0f);
    return scratch_.data();
  }

 private:
  int64_t cols_;
};

// Some rows of a table.
class PickedRows : public PanelSource {
 public:
  // REQUIRES: rows of the table, distinct; `rows` outlives this.
  PickedRows(const PackedTableView& table, std::span<const int64_t> rows)
      : PanelSource(table), rows_(rows), row_(static_cast<size_t>(table.shape().cols)) {}
  int64_t num_panels() const {
    return (static_cast<int64_t>(rows_.size()) + kPanelItems - 1) / kPanelItems;
  }
  const float* panel(int64_t p) {
    for (int i = 0; i < kPanelItems && row(p, i) >= 0; ++i) {
      table_.Row(row(p, i), row_.data());
      for (size_t k = 0; k < row_.size(); ++k) scratch_[k * kPanelItems + i] = row_[k];
    }
    return scratch_.data();
  }
  int32_t row(int64_t p, int i) const {
    const size_t at = static_cast<size_t>(p * kPanelItems + i);
    return at < rows_.size() ? static_cast<int32_t>(rows_[at]) : -1;
  }

 private:
  std::span<const int64_t> rows_;
  std::vector<float> row_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_PANELS_H_
