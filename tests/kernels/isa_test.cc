#include "kernels/base/isa.h"

#include <gtest/gtest.h>

#include "kernels/base/context.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

TEST(IsaTest, StartsWithTheBestAndRefusesTheMissing) {
  const auto supported = SupportedIsas();
  ASSERT_FALSE(supported.empty());
  EXPECT_EQ(supported.front(), Isa::kV2);
  if (supported.back() != Isa::kV4) {
    EXPECT_THROW(SelectIsa(Isa::kV4), InvalidArgument);
  }
}

TEST(DeviceTest, OnlyAutoMayChoose) {
  EXPECT_EQ(ResolveDevice("auto"), Device::kCpu);
  EXPECT_EQ(ResolveDevice("cpu"), Device::kCpu);
  EXPECT_THROW(ResolveDevice("cuda"), DeviceError);
  EXPECT_THROW(ResolveDevice("cuda:1"), DeviceError);
  EXPECT_THROW(ResolveDevice("gpu"), InvalidArgument);
}

}  // namespace
}  // namespace penchant
