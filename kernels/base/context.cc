#include "kernels/base/context.h"

#include "kernels/base/errors.h"

namespace penchant {

std::string CudaUnavailableReason() {
  return "this version of Penchant has no CUDA kernels yet; its CPU backend computes the same "
         "models (device=\"cpu\")";
}

Device ResolveDevice(const std::string& name) {
  if (name == "cpu" || name == "auto") return Device::kCpu;
  if (name == "cuda" || name.rfind("cuda:", 0) == 0) {
    throw DeviceError("device \"" + name + "\" cannot be used: " + CudaUnavailableReason());
  }
  throw InvalidArgument("device must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"; got \"" + name +
                        "\"");
}

}  // namespace penchant
