#include "tests/support/devices.h"

#include "tests/cuda_host/backend.h"
#include "tests/cuda_host/grid.h"
#include "tests/cuda_host/streams.h"

namespace penchant::testing {
namespace {

const std::string kCudaOnHost = "cuda_on_host";

}  // namespace

std::vector<std::string> Targets() {
  std::vector<std::string> targets;
  for (Isa isa : SupportedIsas()) targets.push_back(std::string("cpu_") + IsaName(isa));
  for (const char* schedule : {"", "_random1", "_random2", "_random3"}) {
    targets.push_back(kCudaOnHost + schedule);
  }
  targets.push_back("cuda");
  return targets;
}

std::unique_ptr<Context> ContextOn(const std::string& target, int num_threads) {
  if (target.starts_with(kCudaOnHost)) {
    RegisterCudaBackend(kCudaOnHost, &cuda_on_host::kBackend);
    const bool random = target.size() > kCudaOnHost.size();
    const unsigned schedule = random ? static_cast<unsigned>(target.back() - '0') : 0;
    cuda_host::SetSchedule(schedule);
    constexpr unsigned kLateStreams[] = {2, 1, 3, 0};
    cuda_host::SetLateStreams(kLateStreams[schedule]);
    // Not the device that a thread has unless it is told otherwise.
    return std::make_unique<Context>(num_threads, kCudaOnHost + ":1");
  }
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
