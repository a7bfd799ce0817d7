// Sparse matrices from coordinate lists: sort, merge duplicates, transpose.
#ifndef PENCHANT_KERNELS_SPARSE_CSR_H_
#define PENCHANT_KERNELS_SPARSE_CSR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

// An owning CsrView. `values` is empty when every entry is one.
struct Csr {
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<int64_t> offsets = {0};
  std::vector<int32_t> indices;
  std::vector<float> values;

  int64_t nnz() const { return static_cast<int64_t>(indices.size()); }
  CsrView view() const {
    return {rows, cols, offsets.data(), indices.data(), values.empty() ? nullptr : values.data()};
  }
};

// What to do with several entries for one (row, column) pair.
enum class Duplicates { kSum, kMax, kLast, kError };

struct Coordinates {
  std::span<const int32_t> rows;
  std::span<const int32_t> cols;
  std::span<const float> values;  // empty: all ones
};

// Builds the matrix with sorted, distinct columns in every row. Values that merge to exactly zero
// are dropped; values that merge to all ones are dropped as a whole (Csr::values stays empty).
// `merged` (may be null) receives how many entries joined an earlier one.
// Throws DataError for a duplicate under kError. REQUIRES: 0 <= row < rows, 0 <= col < cols.
Csr CsrFromCoordinates(const Coordinates& entries, int64_t rows, int64_t cols,
                       Duplicates duplicates, int64_t* merged);
// The same from and to the context's device.
DeviceCsr CsrFromCoordinates(Context& context, const Coordinates& entries, int64_t rows,
                             int64_t cols, Duplicates duplicates, int64_t* merged);
// Throws the DataError of kError for `repeated` > 0 repeated pairs.
void RequireNoDuplicates(int64_t repeated, Duplicates duplicates);

// The transpose; rows come out sorted.
Csr Transpose(const CsrView& matrix);
// The same on the context's device; `nnz` is the matrix's, whose offsets the host cannot read
// there.
DeviceCsr Transpose(Context& context, const CsrView& matrix, int64_t nnz);

// Throws InvalidArgument unless offsets rise from 0 to nnz, columns are in range and, within a row,
// strictly ascending. `what` names the matrix in the message.
void ValidateCsr(const CsrView& matrix, int64_t num_indices, const char* what);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SPARSE_CSR_H_
