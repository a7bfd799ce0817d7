#include <cstring>

#include "kernels/base/cuda_blas.h"
#include "kernels/cuda_twins.cuh"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/gram.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr int64_t kBlockRows = 8192;

// Up to this many factors LAPACK on the host is faster than cuSOLVER, whose small problems are
// bound by latency (0.9 against 4.5 ms at 128; ../README.md says whence).
constexpr int64_t kHostFactors = 256;

// cuSOLVER's ascending eigenpairs in our order, sign and clamping: a thread an eigenvector.
__global__ void OrderEigenpairs(const double* vectors, const double* ascending, int64_t d,
                                int64_t stride, double* eigenvalues, float* rotation,
                                unsigned long long* clamped) {
  const int64_t k = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (k >= d) return;
  const int64_t source = d - 1 - k;
  const double value = ascending[source];
  const double largest = max(ascending[d - 1], 0.0);
  if (value < -1e-10 * largest) atomicAdd(clamped, 1ull);
  eigenvalues[k] = max(value, 0.0);
  const double* vector = vectors + source * d;
  double peak = 0;
  for (int64_t i = 0; i < d; ++i) {
    if (fabs(vector[i]) > fabs(peak)) peak = vector[i];
  }
  const double sign = peak < 0 ? -1.0 : 1.0;
  for (int64_t i = 0; i < d; ++i) {
    rotation[i * stride + k] = static_cast<float>(sign * vector[i]);
  }
}

// On the host, in the order of the stream.
void DecomposeOnHost(Context& context, const DeviceBuffer<double>& gram, int64_t d,
                     Eigenbasis* basis, std::shared_ptr<int64_t> clamped) {
  CudaDevice& device = *context.cuda();
  const int64_t stride = PaddedStride(d);
  const auto size = static_cast<size_t>(d * d) * sizeof(double);
  const std::shared_ptr<void> in = device.PinnedMemory(static_cast<int64_t>(size));
  const std::shared_ptr<void> values =
      device.PinnedMemory(d * static_cast<int64_t>(sizeof(double)));
  const std::shared_ptr<void> vectors =
      device.PinnedMemory(d * stride * static_cast<int64_t>(sizeof(float)));
  const cudaStream_t stream = StreamOf(context);
  Check(cudaMemcpyAsync(in.get(), gram.data(), size, cudaMemcpyDeviceToHost, stream),
        "copying to the host");
  device.RunOnHost([in, values, vectors, clamped, d, stride] {
    const auto* matrix = static_cast<const double*>(in.get());
    const GramDecomposition decomposition = DecomposeGram({matrix, static_cast<size_t>(d * d)}, d);
    std::memcpy(values.get(), decomposition.eigenvalues.data(), d * sizeof(double));
    std::memcpy(vectors.get(), decomposition.rotation.row(0), d * stride * sizeof(float));
    *clamped = decomposition.clamped;
  });
  Check(cudaMemcpyAsync(basis->eigenvalues.data(), values.get(), d * sizeof(double),
                        cudaMemcpyHostToDevice, stream),
        "copying to the device");
  Check(cudaMemcpyAsync(basis->rotation.view().data, vectors.get(), d * stride * sizeof(float),
                        cudaMemcpyHostToDevice, stream),
        "copying to the device");
}

void DecomposeOnDevice(Context& context, DeviceBuffer<double> gram, int64_t d, Eigenbasis* basis,
                       std::shared_ptr<int64_t> clamped) {
  DeviceBuffer<double> ascending(context, d);
  context.cuda()->blas().SymmetricEigen(d, gram.data(), ascending.data());
  DeviceBuffer<unsigned long long> count(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(d, 128), 128}), OrderEigenpairs, gram.data(),
                  ascending.data(), d, PaddedStride(d), basis->eigenvalues.data(),
                  basis->rotation.view().data, count.data());
  context.cuda()->ReadLater(count.data(), sizeof(unsigned long long), [clamped](const void* host) {
    *clamped = static_cast<int64_t>(*static_cast<const unsigned long long*>(host));
  });
}

}  // namespace

void Rotate(Context& context, MatrixView<const float> rotation, MatrixView<float> table) {
  const int64_t d = table.cols, stride = table.stride;
  // The scratch's padding is zero and stays so: whole rows are copied back.
  DeviceBuffer<float> scratch(context, std::min(kBlockRows, table.rows) * stride);
  for (int64_t first = 0; first < table.rows; first += kBlockRows) {
    const int64_t count = std::min(kBlockRows, table.rows - first);
    context.cuda()->blas().Multiply(count, d, d, table.row(first), stride, rotation.data,
                                    rotation.stride, scratch.data(), stride);
    Check(cudaMemcpyAsync(table.row(first), scratch.data(),
                          static_cast<size_t>(count * stride) * sizeof(float),
                          cudaMemcpyDeviceToDevice, StreamOf(context)),
          "copying on the device");
  }
}

Eigenbasis RotateToEigenbasis(Context& context, MatrixView<float> table) {
  const int64_t d = table.cols;
  const auto clamped = std::make_shared<int64_t>(0);
  Eigenbasis basis{DeviceBuffer<double>(context, d), DeviceMatrix(context, d, d), clamped};
  DeviceBuffer<double> gram = GramOnDevice(context, table);
  if (d <= kHostFactors) {
    DecomposeOnHost(context, gram, d, &basis, clamped);
  } else {
    DecomposeOnDevice(context, std::move(gram), d, &basis, clamped);
  }
  PENCHANT_CUDA_NAMESPACE::Rotate(context, basis.rotation.view(), table);
  return basis;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
