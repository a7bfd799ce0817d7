#include <cstdlib>

#include "kernels/base/cuda_availability.cuh"
#include "kernels/base/cuda_blas.h"
#include "kernels/base/current_device.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

// The oldest architecture the kernels are written for.
constexpr int kOldestArchitecture = 80;

// Stands for all kernels of this build: they are compiled for the same architectures.
__global__ void Probe() {}

int Attribute(cudaDeviceAttr attribute, int index) {
  int value = 0;
  Check(cudaDeviceGetAttribute(&value, attribute, index), "asking for a device attribute");
  return value;
}

int ComputeCapability(int index) {
  return 10 * Attribute(cudaDevAttrComputeCapabilityMajor, index) +
         Attribute(cudaDevAttrComputeCapabilityMinor, index);
}

// 13000: "13.0".
std::string CudaVersion(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}
// 80: "8.0".
std::string CapabilityName(int capability) {
  return std::to_string(capability / 10) + "." + std::to_string(capability % 10);
}

std::string RuntimeReason(int driver, cudaError_t error) {
  const std::string versions = "the NVIDIA driver (CUDA " + CudaVersion(driver) + ")";
  if (error == cudaErrorInsufficientDriver) {
    return versions + " is older than this build's CUDA runtime (" + CudaVersion(CUDART_VERSION) +
           "); install a newer driver";
  }
  if (error == cudaErrorNoDevice) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return versions + " shows no GPU; " +
           (visible != nullptr ? "CUDA_VISIBLE_DEVICES=\"" + std::string(visible) +
                                     "\" may hide it, or a container that was given none"
                               : std::string("a container must be given it (--gpus all)"));
  }
  return versions + " and this build's CUDA runtime (" + CudaVersion(CUDART_VERSION) +
         ") do not work together: " + cudaGetErrorString(error);
}

// What is in the way of starting the device and of loading kernels there; empty when nothing is.
std::string StartReason(int index) {
  const std::string device = "device " + std::to_string(index);
  try {
    const CurrentDevice current(index);
    cudaFuncAttributes attributes;
    const cudaError_t error = cudaFuncGetAttributes(&attributes, Probe);
    if (error == cudaSuccess) return "";
    cudaGetLastError();
    if (error != cudaErrorNoKernelImageForDevice) return device + ": " + cudaGetErrorString(error);
    const int capability = ComputeCapability(index);
    return device + " is of compute capability " + CapabilityName(capability) +
           ", and this build has kernels for others only; configure it with "
           "PENCHANT_CUDA_ARCHITECTURES=" +
           std::to_string(capability) + "-real";
  } catch (const DeviceError& error) {
    return device + " cannot be started (" + error.what() +
           "); other processes may hold it, or its memory: see nvidia-smi";
  }
}

int64_t FreeBytes(int index) {
  try {
    const CurrentDevice current(index);
    size_t free = 0, total = 0;
    Check(cudaMemGetInfo(&free, &total), "asking for the memory");
    return static_cast<int64_t>(free);
  } catch (const DeviceError&) {
    return 0;  // UnavailableReason tells why
  }
}

}  // namespace

int NumDevices() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}

CudaDeviceFacts FactsOf(int index) {
  CudaDeviceFacts facts;
  facts.index = index;
  cudaDeviceProp properties;
  Check(cudaGetDeviceProperties(&properties, index), "asking for device properties");
  facts.name = properties.name;
  facts.compute_capability = ComputeCapability(index);
  facts.multiprocessors = Attribute(cudaDevAttrMultiProcessorCount, index);
  facts.shared_bytes = Attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin, index);
  facts.memory_bytes = static_cast<int64_t>(properties.totalGlobalMem);
  facts.free_bytes = FreeBytes(index);
  return facts;
}

std::string UnavailableReason(int index) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return "no NVIDIA driver is loaded; install the driver of your GPU (nvidia-smi shows it)";
  }
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess) {
    cudaGetLastError();
    return RuntimeReason(driver, error);
  }
  if (index >= count) {
    return "there is no CUDA device " + std::to_string(index) + "; this machine shows " +
           std::to_string(count);
  }
  const int capability = ComputeCapability(index);
  if (capability < kOldestArchitecture) {
    return "device " + std::to_string(index) + " is of compute capability " +
           CapabilityName(capability) + "; the kernels need " +
           CapabilityName(kOldestArchitecture) + " or newer";
  }
  const std::string reason = StartReason(index);
  return reason.empty() ? CudaBlasUnavailableReason() : reason;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
