// The positives of users, one after the other, as an epoch walks them.
#ifndef PENCHANT_KERNELS_SGD_CSR_POSITIVES_H_
#define PENCHANT_KERNELS_SGD_CSR_POSITIVES_H_

#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/base/sorted.h"
#include "kernels/base/view.h"
#include "kernels/sgd/epoch_part.h"

namespace penchant {

// An item to step towards, and where it stands among all of an epoch's: what its draws depend on.
struct Positive {
  int32_t item = 0;
  int64_t position = 0;
};

// The entries of a matrix with value > 0, or all where it has no values. One of the sources that
// epochs walk; skip_gram_contexts.h is the other.
struct CsrPositives {
  CsrView rows;  // its items ascend within a row
  // Positions count from the row's first entry, so that a row does not depend on those before it.
  bool rows_alike = false;

  static constexpr const char* kName = "CsrPositives";
  int64_t num_rows() const { return rows.rows; }
  int64_t num_items() const { return rows.cols; }

  struct Cursor {
    int64_t next, end, first;
  };
  PENCHANT_HOST_DEVICE Cursor Begin(int64_t row) const {
    return {rows.offsets[row], rows.offsets[row + 1], rows_alike ? rows.offsets[row] : 0};
  }
  // The row's next positive of the part; false: none is left.
  PENCHANT_HOST_DEVICE bool Next(const EpochPart& part, Cursor* cursor, Positive* positive) const {
    while (cursor->next < cursor->end) {
      const int64_t entry = cursor->next++;
      if (!Counts(entry) || !part.Has(entry - cursor->first)) continue;
      *positive = {rows.indices[entry], entry - cursor->first};
      return true;
    }
    return false;
  }

  // Whether `item` is no negative for the row.
  PENCHANT_HOST_DEVICE bool Rejects(int64_t row, int32_t item) const {
    const int64_t first = rows.offsets[row];
    const int64_t at = FindSorted(rows.indices + first, rows.offsets[row + 1] - first, item);
    return at >= 0 && Counts(first + at);
  }
  // Calls visit(item) for all that Rejects.
  template <typename Visit>
  void ForEachRejected(int64_t row, const Visit& visit) const {
    for (int64_t entry = rows.offsets[row]; entry < rows.offsets[row + 1]; ++entry) {
      if (Counts(entry)) visit(rows.indices[entry]);
    }
  }

 private:
  PENCHANT_HOST_DEVICE bool Counts(int64_t entry) const {
    return rows.values == nullptr || rows.values[entry] > 0.0f;
  }
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_CSR_POSITIVES_H_
