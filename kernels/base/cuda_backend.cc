// The one place that knows whether this build carries the CUDA twins.
#include <map>

#include "kernels/base/cuda_device.h"

namespace penchant {

#if PENCHANT_HAS_CUDA
namespace cuda {
extern const CudaBackend kBackend;
}
const CudaBackend* BuiltCudaBackend() { return &cuda::kBackend; }
#else
const CudaBackend* BuiltCudaBackend() { return nullptr; }
#endif

namespace {

std::map<std::string, const CudaBackend*>& Registered() {
  static std::map<std::string, const CudaBackend*> backends;
  return backends;
}

}  // namespace

void RegisterCudaBackend(const std::string& name, const CudaBackend* backend) {
  Registered()[name] = backend;
}

const CudaBackend* FindCudaBackend(const std::string& name) {
  if (name == "cuda") return BuiltCudaBackend();
  const auto found = Registered().find(name);
  return found == Registered().end() ? nullptr : found->second;
}

}  // namespace penchant
