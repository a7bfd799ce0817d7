#include "kernels/base/context.h"

#include <charconv>
#include <mutex>

#include "kernels/base/errors.h"
#include "kernels/base/log.h"

namespace penchant {
namespace {

struct DeviceName {
  std::string kind;
  int index = 0;
};

DeviceName ParseDevice(const std::string& name) {
  const size_t colon = name.find(':');
  DeviceName parsed{name.substr(0, colon), 0};
  bool good = parsed.kind == "auto" || parsed.kind == "cpu" || parsed.kind == "cuda" ||
              FindCudaBackend(parsed.kind) != nullptr;
  if (colon != std::string::npos) {
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + colon + 1, end, parsed.index);
    good = good && parsed.kind != "auto" && parsed.kind != "cpu" && error == std::errc() &&
           stop == end && parsed.index >= 0;
  }
  PENCHANT_REQUIRE(good, "device must be \"auto\", \"cpu\", \"cuda\" or \"cuda:N\"; got \"", name,
                   "\"");
  return parsed;
}

void SayOnceThatAutoIsTheCpu(const std::string& reason) {
  static std::once_flag said;
  std::call_once(said, [&] { Log(LogLevel::kInfo, "device \"auto\" is the CPU here: " + reason); });
}

}  // namespace

std::string CudaUnavailableReason(int index) {
  const CudaBackend* backend = BuiltCudaBackend();
  if (backend == nullptr) {
    return "this build of Penchant carries no CUDA kernels (it was configured with "
           "PENCHANT_CUDA=OFF, or AUTO without nvcc); rebuild where the CUDA toolkit is, or use "
           "device=\"cpu\", which computes the same models";
  }
  return backend->unavailable_reason(index);
}

void RequireDevice(const std::string& name) {
  const DeviceName device = ParseDevice(name);
  if (device.kind == "cpu" || device.kind == "auto") return;
  const CudaBackend* backend = FindCudaBackend(device.kind);
  const std::string reason = backend != nullptr ? backend->unavailable_reason(device.index)
                                                : CudaUnavailableReason(device.index);
  PENCHANT_CHECK(reason.empty(), DeviceError, "device \"", name, "\" cannot be used: ", reason);
}

std::shared_ptr<CudaDevice> OpenDevice(const std::string& name) {
  RequireDevice(name);
  const DeviceName device = ParseDevice(name);
  if (device.kind == "cpu") return nullptr;
  if (device.kind != "auto") return FindCudaBackend(device.kind)->open(device.index);
  const std::string reason = CudaUnavailableReason();
  if (reason.empty()) return BuiltCudaBackend()->open(0);
  SayOnceThatAutoIsTheCpu(reason);
  return nullptr;
}

std::string Context::device_name() const {
  return cuda_ ? "cuda:" + std::to_string(cuda_->facts().index) : "cpu";
}

}  // namespace penchant
