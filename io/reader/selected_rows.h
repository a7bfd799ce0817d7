// A selection, resolved: which rows of an artifact may be returned, and what is added to them.
#ifndef PENCHANT_IO_READER_SELECTED_ROWS_H_
#define PENCHANT_IO_READER_SELECTED_ROWS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/artifact/artifact.h"
#include "io/reader/selection.h"
#include "kernels/score/panel_search.h"

namespace penchant {

class SelectedRows {
 public:
  // Throws InvalidArgument for attributes that the artifact has not, caps < 1 and boosts that are
  // not finite.
  SelectedRows(const Artifact& artifact, const Selection& selection);

  void Deny(int64_t row);
  bool IsDenied(int64_t row) const {
    return !denied_.empty() && (denied_[static_cast<size_t>(row) / 64] >> (row % 64) & 1) != 0;
  }
  // The only rows to look at, ascending; none: all.
  const std::optional<std::vector<int64_t>>& allowed() const { return allowed_; }
  // Allowed rows with boosts, ascending; denied ones may be among them.
  const std::vector<int64_t>& boosted() const { return boosted_; }
  // What is added to a row's score; none: nothing.
  std::optional<float> BoostOf(int64_t row) const;
  bool has_caps() const { return !caps_.empty(); }
  // The rows of a list, best first, that keep within the caps.
  std::vector<ScoredRow> WithinCaps(std::span<const ScoredRow> rows, int64_t n) const;

 private:
  const Artifact& artifact_;
  std::vector<uint64_t> denied_;  // a bit a row; empty: none
  std::optional<std::vector<int64_t>> allowed_;
  std::vector<int64_t> boosted_;
  std::vector<float> boosts_;  // of each of them
  std::vector<std::pair<std::string, int64_t>> caps_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_SELECTED_ROWS_H_
