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
  EXPECT_EQ(OpenDevice("cpu"), nullptr);
  if (!CudaUnavailableReason().empty()) {
    EXPECT_EQ(OpenDevice("auto"), nullptr);
    EXPECT_THROW(OpenDevice("cuda"), DeviceError);
    EXPECT_THROW(OpenDevice("cuda:1"), DeviceError);
  }
  for (const char* wrong : {"gpu", "cpu:1", "cuda:", "cuda:-1", "cuda:1x", ""}) {
    EXPECT_THROW(OpenDevice(wrong), InvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace penchant
