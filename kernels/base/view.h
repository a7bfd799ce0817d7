// Non-owning views of dense and sparse tables. Offsets are 64-bit, dense row numbers 32-bit.
#ifndef PENCHANT_KERNELS_BASE_VIEW_H_
#define PENCHANT_KERNELS_BASE_VIEW_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "kernels/base/host_device.h"

namespace penchant {

// A row-major table: row i starts at data + i * stride, stride >= cols (both in elements).
template <typename T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  PENCHANT_HOST_DEVICE T* row(int64_t i) const { return data + i * stride; }
  template <typename U>
    requires std::is_same_v<U, const T>
  operator MatrixView<U>() const {
    return {data, rows, cols, stride};
  }
};

// Compressed sparse rows: row i holds entries offsets[i] .. offsets[i + 1].
// `values` is null when every entry weighs one.
struct CsrView {
  int64_t rows = 0;
  int64_t cols = 0;
  const int64_t* offsets = nullptr;
  const int32_t* indices = nullptr;
  const float* values = nullptr;

  int64_t nnz() const { return rows == 0 ? 0 : offsets[rows] - offsets[0]; }
  int64_t row_size(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  std::span<const int32_t> row_indices(int64_t i) const {
    return {indices + offsets[i], static_cast<size_t>(row_size(i))};
  }
  const float* row_values(int64_t i) const { return values ? values + offsets[i] : nullptr; }
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_VIEW_H_
