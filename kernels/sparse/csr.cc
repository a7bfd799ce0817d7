#include "kernels/sparse/csr.h"

#include <algorithm>

#include "kernels/base/errors.h"
#include "kernels/cuda_ops.h"

namespace penchant {
namespace {

// Stable counting sort of entries by `keys`: returns the end offsets of the keys' runs and calls
// place(source, target) in input order.
template <typename Place>
std::vector<int64_t> CountingSort(std::span<const int32_t> keys, int64_t num_keys,
                                  const Place& place) {
  std::vector<int64_t> offsets(num_keys + 1, 0);
  for (int32_t key : keys) ++offsets[key + 1];
  for (int64_t key = 0; key < num_keys; ++key) offsets[key + 1] += offsets[key];
  std::vector<int64_t> cursor(offsets.begin(), offsets.end() - 1);
  for (size_t i = 0; i < keys.size(); ++i) place(i, cursor[keys[i]]++);
  return offsets;
}

float Merge(Duplicates duplicates, float old_value, float value) {
  switch (duplicates) {
    case Duplicates::kSum:
      return old_value + value;
    case Duplicates::kMax:
      return std::max(old_value, value);
    case Duplicates::kLast:
    case Duplicates::kError:
      return value;
  }
  return value;
}

// A host matrix where a context on the CPU has its memory.
DeviceCsr Owned(Context& context, const Csr& csr) {
  DeviceCsr owned(context, csr.rows, csr.cols, csr.nnz(), !csr.values.empty());
  std::copy(csr.offsets.begin(), csr.offsets.end(), owned.offsets());
  std::copy(csr.indices.begin(), csr.indices.end(), owned.indices());
  std::copy(csr.values.begin(), csr.values.end(), owned.values());
  return owned;
}

}  // namespace

void RequireNoDuplicates(int64_t repeated, Duplicates duplicates) {
  PENCHANT_CHECK(repeated == 0 || duplicates != Duplicates::kError, DataError, repeated,
                 " interactions repeat an earlier (user, item) pair; pass "
                 "duplicates=\"sum\", \"max\" or \"last\" to merge them");
}

DeviceCsr CsrFromCoordinates(Context& context, const Coordinates& entries, int64_t rows,
                             int64_t cols, Duplicates duplicates, int64_t* merged) {
  if (context.cuda()) {
    return context.cuda()->ops()->csr_from_coordinates(context, entries, rows, cols, duplicates,
                                                       merged);
  }
  return Owned(context, CsrFromCoordinates(entries, rows, cols, duplicates, merged));
}

DeviceCsr Transpose(Context& context, const CsrView& matrix, int64_t nnz) {
  if (context.cuda()) return context.cuda()->ops()->transpose(context, matrix, nnz);
  return Owned(context, Transpose(matrix));
}

Csr CsrFromCoordinates(const Coordinates& entries, int64_t rows, int64_t cols,
                       Duplicates duplicates, int64_t* merged) {
  const size_t n = entries.rows.size();
  PENCHANT_REQUIRE(
      entries.cols.size() == n && (entries.values.empty() || entries.values.size() == n),
      "coordinate lists differ in length");
  const bool weighted = !entries.values.empty();
  // Least significant key first: by column, then (stably) by row.
  std::vector<int32_t> row_by_col(n), col_by_col(n);
  std::vector<float> value_by_col(weighted ? n : 0);
  CountingSort(entries.cols, cols, [&](size_t from, int64_t to) {
    row_by_col[to] = entries.rows[from];
    col_by_col[to] = entries.cols[from];
    if (weighted) value_by_col[to] = entries.values[from];
  });
  Csr csr;
  csr.rows = rows;
  csr.cols = cols;
  csr.indices.resize(n);
  csr.values.resize(weighted ? n : 0);
  csr.offsets = CountingSort(row_by_col, rows, [&](size_t from, int64_t to) {
    csr.indices[to] = col_by_col[from];
    if (weighted) csr.values[to] = value_by_col[from];
  });
  std::vector<int32_t>().swap(row_by_col);
  std::vector<int32_t>().swap(col_by_col);
  std::vector<float>().swap(value_by_col);

  // Merge runs of equal columns in place. Unit entries grow values only when some run is summed.
  int64_t duplicate_count = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = csr.offsets[row] + 1; i < csr.offsets[row + 1]; ++i) {
      duplicate_count += csr.indices[i] == csr.indices[i - 1];
    }
  }
  RequireNoDuplicates(duplicate_count, duplicates);
  if (merged) *merged = duplicate_count;
  if (!weighted && duplicate_count > 0 && duplicates == Duplicates::kSum)
    csr.values.assign(n, 1.0f);
  if (duplicate_count > 0 || weighted) {
    const bool has_values = !csr.values.empty();
    int64_t out = 0;
    int64_t begin = 0;
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t end = csr.offsets[row + 1];
      for (int64_t i = begin; i < end;) {
        const int32_t col = csr.indices[i];
        float value = has_values ? csr.values[i] : 1.0f;
        for (++i; i < end && csr.indices[i] == col; ++i) {
          if (has_values) value = Merge(duplicates, value, csr.values[i]);
        }
        if (value == 0.0f) continue;
        csr.indices[out] = col;
        if (has_values) csr.values[out] = value;
        ++out;
      }
      begin = end;
      csr.offsets[row + 1] = out;
    }
    csr.indices.resize(out);
    if (has_values) csr.values.resize(out);
    if (has_values && std::all_of(csr.values.begin(), csr.values.end(),
                                  [](float value) { return value == 1.0f; })) {
      std::vector<float>().swap(csr.values);
    }
  }
  return csr;
}

Csr Transpose(const CsrView& matrix) {
  Csr result;
  result.rows = matrix.cols;
  result.cols = matrix.rows;
  const int64_t n = matrix.nnz();
  result.indices.resize(n);
  if (matrix.values) result.values.resize(n);
  result.offsets.assign(matrix.cols + 1, 0);
  for (int64_t i = 0; i < n; ++i) ++result.offsets[matrix.indices[i] + 1];
  for (int64_t c = 0; c < matrix.cols; ++c) result.offsets[c + 1] += result.offsets[c];
  std::vector<int64_t> cursor(result.offsets.begin(), result.offsets.end() - 1);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    for (int64_t i = matrix.offsets[row]; i < matrix.offsets[row + 1]; ++i) {
      const int64_t to = cursor[matrix.indices[i]]++;
      result.indices[to] = static_cast<int32_t>(row);
      if (matrix.values) result.values[to] = matrix.values[i];
    }
  }
  return result;
}

void ValidateCsr(const CsrView& matrix, int64_t num_indices, const char* what) {
  PENCHANT_REQUIRE(matrix.offsets[0] == 0, what, ": offsets start at ", matrix.offsets[0],
                   ", wanted 0");
  PENCHANT_REQUIRE(matrix.offsets[matrix.rows] == num_indices, what, ": offsets end at ",
                   matrix.offsets[matrix.rows], " for ", num_indices, " entries");
  for (int64_t row = 0; row < matrix.rows; ++row) {
    PENCHANT_REQUIRE(
        matrix.offsets[row] <= matrix.offsets[row + 1] && matrix.offsets[row + 1] <= num_indices,
        what, ": offsets of row ", row, " are out of order");
    for (int64_t i = matrix.offsets[row]; i < matrix.offsets[row + 1]; ++i) {
      const int32_t col = matrix.indices[i];
      PENCHANT_REQUIRE(col >= 0 && col < matrix.cols, what, ": row ", row, " names column ", col,
                       ", wanted 0 to ", matrix.cols - 1);
      PENCHANT_REQUIRE(i == matrix.offsets[row] || matrix.indices[i - 1] < col, what, ": row ", row,
                       " is not sorted or repeats column ", col);
    }
  }
}

}  // namespace penchant
