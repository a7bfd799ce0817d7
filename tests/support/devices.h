// The targets that every op's suite runs on: the CPU at each instruction set this machine has, the
// CUDA twins run thread for thread on the CPU (tests/cuda_host) in order and under three random
// schedules, and a GPU where there is one.
#ifndef PENCHANT_TESTS_SUPPORT_DEVICES_H_
#define PENCHANT_TESTS_SUPPORT_DEVICES_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kernels/base/context.h"
#include "tests/support/random_data.h"

namespace penchant::testing {

// "cpu_v2" and so on, "cuda_on_host", "cuda_on_host_random1" and so on, "cuda".
std::vector<std::string> Targets();

// A context on a target.
std::unique_ptr<Context> ContextOn(const std::string& target, int num_threads);
// Why a target cannot run here; empty when it can.
std::string SkipReason(const std::string& target);
// Selects the instruction set that a CPU target names, for as long as the result lives.
std::unique_ptr<ScopedIsa> SelectIsaOf(const std::string& target);

// A suite instantiated with Targets(). Skips "cuda", with the reason, where there is no GPU.
class DeviceTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override;
  std::unique_ptr<Context> MakeContext(int num_threads) const {
    return ContextOn(GetParam(), num_threads);
  }
  Context& context() { return *context_; }
  bool on_cuda() const { return context_->cuda() != nullptr; }

 private:
  std::unique_ptr<ScopedIsa> isa_;
  std::unique_ptr<Context> context_;
};

#define PENCHANT_ON_ALL_DEVICES(suite)                                                     \
  INSTANTIATE_TEST_SUITE_P(On, suite, ::testing::ValuesIn(::penchant::testing::Targets()), \
                           [](const auto& info) { return info.param; })

}  // namespace penchant::testing

#endif  // PENCHANT_TESTS_SUPPORT_DEVICES_H_
