// Memory of a context's device. On the CPU that is ordinary memory and nothing is copied; on CUDA,
// Upload and Download are the only doors between the two.
#ifndef PENCHANT_KERNELS_BASE_DEVICE_MEMORY_H_
#define PENCHANT_KERNELS_BASE_DEVICE_MEMORY_H_

#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/memory.h"
#include "kernels/base/view.h"

namespace penchant {

// `size` zeroed elements on the device of a context.
template <typename T>
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Context& context, int64_t size) : device_(context.shared_cuda()), size_(size) {
    if (device_) {
      on_device_ = static_cast<T*>(device_->Allocate(size * static_cast<int64_t>(sizeof(T))));
    } else {
      on_host_ = Buffer<T>(size);
    }
  }
  DeviceBuffer(DeviceBuffer&& other) noexcept { *this = std::move(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(on_device_, other.on_device_);
    std::swap(on_host_, other.on_host_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~DeviceBuffer() {
    if (on_device_ != nullptr) device_->Free(on_device_);
  }

  T* data() { return device_ ? on_device_ : on_host_.data(); }
  const T* data() const { return device_ ? on_device_ : on_host_.data(); }
  int64_t size() const { return size_; }

 private:
  std::shared_ptr<CudaDevice> device_;  // null: the CPU
  T* on_device_ = nullptr;
  Buffer<T> on_host_;
  int64_t size_ = 0;
};

// Copies host memory to memory of the context's device.
template <typename T>
void CopyIn(Context& context, std::span<const T> host, T* device) {
  if (host.empty()) return;
  if (context.cuda()) {
    context.cuda()->CopyToDevice(device, host.data(), static_cast<int64_t>(host.size_bytes()));
  } else {
    std::memcpy(device, host.data(), host.size_bytes());
  }
}

template <typename T>
DeviceBuffer<T> Upload(Context& context, std::span<const T> host) {
  DeviceBuffer<T> buffer(context, static_cast<int64_t>(host.size()));
  CopyIn(context, host, buffer.data());
  return buffer;
}

// Waits for the work that fills the memory.
template <typename T>
std::vector<T> Download(Context& context, const T* data, int64_t size) {
  std::vector<T> host(size);
  if (size == 0) return host;
  if (context.cuda()) {
    context.cuda()->CopyToHost(host.data(), data, size * static_cast<int64_t>(sizeof(T)));
  } else {
    std::memcpy(host.data(), data, size * sizeof(T));
  }
  return host;
}
template <typename T>
std::vector<T> Download(Context& context, const DeviceBuffer<T>& buffer) {
  return Download(context, buffer.data(), buffer.size());
}

// A table on the device of a context; its padding columns are zero, as Matrix's.
class DeviceMatrix {
 public:
  DeviceMatrix() = default;
  DeviceMatrix(Context& context, int64_t rows, int64_t cols)
      : on_device_(context.cuda() ? DeviceBuffer<float>(context, rows * PaddedStride(cols))
                                  : DeviceBuffer<float>()),
        on_host_(context.cuda() ? Matrix() : Matrix(rows, cols)),
        rows_(rows),
        cols_(cols) {}
  // Takes over a host table (CPU) or copies it (CUDA).
  DeviceMatrix(Context& context, Matrix host) : rows_(host.rows()), cols_(host.cols()) {
    if (context.cuda()) {
      on_device_ = Upload<float>(context, {host.row(0), Elements()});
    } else {
      on_host_ = std::move(host);
    }
  }
  // Copies a host table.
  DeviceMatrix(Context& context, MatrixView<const float> host)
      : DeviceMatrix(context, host.rows, host.cols) {
    if (context.cuda()) {
      if (rows_ > 0) {
        context.cuda()->CopyToDevice(on_device_.data(), host.data,
                                     static_cast<int64_t>(Elements() * sizeof(float)));
      }
    } else if (rows_ > 0) {
      std::memcpy(on_host_.row(0), host.data, Elements() * sizeof(float));
    }
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  int64_t stride() const { return PaddedStride(cols_); }
  MatrixView<float> view() { return {data(), rows_, cols_, stride()}; }
  MatrixView<const float> view() const { return {data(), rows_, cols_, stride()}; }

  // A copy on the host.
  Matrix Download(Context& context) const {
    if (!context.cuda()) return on_host_.Clone();
    Matrix host(rows_, cols_);
    if (rows_ > 0) {
      context.cuda()->CopyToHost(host.row(0), on_device_.data(),
                                 static_cast<int64_t>(Elements() * sizeof(float)));
    }
    return host;
  }
  // Becomes another table; its own memory goes back first.
  void Replace(Context& context, Matrix host) {
    *this = DeviceMatrix();
    *this = DeviceMatrix(context, std::move(host));
  }
  // The table itself (CPU) or a copy (CUDA); this one is empty afterwards.
  Matrix Release(Context& context) {
    Matrix host = context.cuda() ? Download(context) : std::move(on_host_);
    *this = DeviceMatrix();
    return host;
  }

 private:
  size_t Elements() const { return static_cast<size_t>(rows_ * stride()); }
  float* data() { return on_device_.size() > 0 ? on_device_.data() : on_host_.row(0); }
  const float* data() const { return on_device_.size() > 0 ? on_device_.data() : on_host_.row(0); }

  DeviceBuffer<float> on_device_;
  Matrix on_host_;
  int64_t rows_ = 0;
  int64_t cols_ = 0;
};

// A sparse matrix on the device of a context: lent on the CPU and copied on CUDA when made from a
// host matrix, owned when made by size.
class DeviceCsr {
 public:
  DeviceCsr() = default;
  DeviceCsr(Context& context, const CsrView& host) : view_(host), nnz_(host.nnz()) {
    if (!context.cuda()) return;
    const auto n = static_cast<size_t>(nnz_);
    offsets_ = Upload<int64_t>(context, {host.offsets, static_cast<size_t>(host.rows) + 1});
    indices_ = Upload<int32_t>(context, {host.indices, n});
    if (host.values != nullptr) values_ = Upload<float>(context, {host.values, n});
    PointToOwn();
  }
  DeviceCsr(Context& context, int64_t rows, int64_t cols, int64_t nnz, bool weighted)
      : offsets_(context, rows + 1),
        indices_(context, nnz),
        values_(context, weighted ? nnz : 0),
        view_{rows, cols, nullptr, nullptr, nullptr},
        nnz_(nnz) {
    PointToOwn();
  }

  const CsrView& view() const { return view_; }
  int64_t nnz() const { return nnz_; }  // the view's reads its offsets: not from here, on CUDA
  int64_t* offsets() { return offsets_.data(); }
  int32_t* indices() { return indices_.data(); }
  float* values() { return values_.data(); }
  // Every value is one from now on.
  void DropValues() {
    values_ = DeviceBuffer<float>();
    view_.values = nullptr;
  }

 private:
  void PointToOwn() {
    view_.offsets = offsets_.data();
    view_.indices = indices_.data();
    view_.values = values_.size() > 0 ? values_.data() : nullptr;
  }

  DeviceBuffer<int64_t> offsets_;
  DeviceBuffer<int32_t> indices_;
  DeviceBuffer<float> values_;
  CsrView view_;
  int64_t nnz_ = 0;
};

// Something on the device of the context that last needed it.
template <typename T>
class OnLastDevice {
 public:
  // What is kept for the context's device, or else what make() returns, which is kept from now on.
  template <typename Make>
  T& Get(Context& context, const Make& make) {
    if (!kept_ || device_ != context.shared_cuda()) {
      kept_.reset();  // its memory first
      kept_.emplace(make());
      device_ = context.shared_cuda();
    }
    return *kept_;
  }

 private:
  std::optional<T> kept_;
  std::shared_ptr<CudaDevice> device_;  // null: the CPU
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_BASE_DEVICE_MEMORY_H_
