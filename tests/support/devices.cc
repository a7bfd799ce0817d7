#include "tests/support/devices.h"

#include "tests/cuda_host/backend.h"

namespace penchant::testing {

std::vector<std::string> Targets() {
  std::vector<std::string> targets;
  for (Isa isa : SupportedIsas()) targets.push_back(std::string("cpu_") + IsaName(isa));
  targets.push_back("cuda_on_host");
  targets.push_back("cuda");
  return targets;
}

std::unique_ptr<Context> ContextOn(const std::string& target, int num_threads) {
  if (target == "cuda_on_host") RegisterCudaBackend(target, &cuda_on_host::kBackend);
  return std::make_unique<Context>(num_threads, target.starts_with("cpu") ? "cpu" : target);
}

std::string SkipReason(const std::string& target) {
  return target == "cuda" ? CudaUnavailableReason() : "";
}

std::unique_ptr<ScopedIsa> SelectIsaOf(const std::string& target) {
  for (Isa isa : SupportedIsas()) {
    if (target == std::string("cpu_") + IsaName(isa)) return std::make_unique<ScopedIsa>(isa);
  }
  return nullptr;
}

void DeviceTest::SetUp() {
  isa_ = SelectIsaOf(GetParam());
  const std::string reason = SkipReason(GetParam());
  if (!reason.empty()) GTEST_SKIP() << reason;
  context_ = MakeContext(2);
}

}  // namespace penchant::testing
