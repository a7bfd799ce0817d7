// Owning, cache-line aligned memory: Buffer (flat) and Matrix (rows padded to 16 floats).
#ifndef PENCHANT_KERNELS_BASE_MEMORY_H_
#define PENCHANT_KERNELS_BASE_MEMORY_H_

#include <cstdint>
#include <cstring>
#include <utility>

#include "kernels/base/view.h"

namespace penchant {

inline constexpr int64_t kRowPadding = 16;  // elements; 64 bytes of float32

// The padded row length of a table with `cols` columns.
inline constexpr int64_t PaddedStride(int64_t cols) {
  return (cols + kRowPadding - 1) / kRowPadding * kRowPadding;
}

namespace internal {
// Zeroed, 64-byte aligned memory; large blocks ask for huge pages. Throws DeviceError.
void* AllocateZeroed(int64_t bytes);
void Free(void* pointer);
}  // namespace internal

// `size` zero-initialised elements of a trivially copyable type.
template <typename T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size)
      : data_(static_cast<T*>(internal::AllocateZeroed(size * static_cast<int64_t>(sizeof(T))))),
        size_(size) {}
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { internal::Free(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return size_; }
  T& operator[](int64_t i) { return data_[i]; }
  const T& operator[](int64_t i) const { return data_[i]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

// A zero-initialised rows x cols table of float32. Padding columns are zero and must stay zero:
// kernels read whole cache lines.
class Matrix {
 public:
  Matrix() = default;
  Matrix(int64_t rows, int64_t cols)
      : buffer_(rows * PaddedStride(cols)), rows_(rows), cols_(cols) {}

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return PaddedStride(cols_); }
  float* row(int64_t i) { return buffer_.data() + i * stride(); }
  const float* row(int64_t i) const { return buffer_.data() + i * stride(); }
  MatrixView<float> view() { return {buffer_.data(), rows_, cols_, stride()}; }
  MatrixView<const float> view() const { return {buffer_.data(), rows_, cols_, stride()}; }

  Matrix Clone() const {
    Matrix copy(rows_, cols_);
    if (buffer_.size() > 0) {
      std::memcpy(copy.buffer_.data(), buffer_.data(), sizeof(float) * buffer_.size());
    }
    return copy;
  }

 private:
  Buffer<float> buffer_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_MEMORY_H_
