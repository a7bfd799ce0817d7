#include "trainer/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

using ::testing::HasSubstr;

template <typename E, typename F>
std::string MessageOf(const F& call) {
  try {
    call();
  } catch (const E& error) {
    return error.what();
  }
  return "no error";
}

TEST(ConfigTest, UnknownFieldsAreRefusedWithLineAndColumn) {
  const std::string message =
      MessageOf<DataError>([] { ParseTrainConfig("als {\n  factor: 3\n}", "my.textproto"); });
  EXPECT_THAT(message, HasSubstr("my.textproto:2:"));
  EXPECT_THAT(message, HasSubstr("no field named \"factor\". Its fields are factors, "));
}

TEST(ConfigTest, OverridesTakeNumbersWordsAndPaths) {
  auto config = ParseTrainConfig("als { factors: 3 }", "c");
  ApplyOverride("als.factors=64", &config);
  ApplyOverride("output=models/a b.safetensors", &config);
  ApplyOverride("evaluation.split=time", &config);
  ApplyOverride("num_threads=2", &config);
  EXPECT_EQ(config.als().factors(), 64);
  EXPECT_EQ(config.output(), "models/a b.safetensors");
  EXPECT_EQ(config.evaluation().split(), "time");
  EXPECT_THAT(MessageOf<InvalidArgument>([&] { ApplyOverride("als.nope=1", &config); }),
              HasSubstr("als.nope=1"));
  EXPECT_THROW(ApplyOverride("als.factors", &config), InvalidArgument);
  EXPECT_THROW(ApplyOverride("als.factors=many", &config), InvalidArgument);
}

TEST(ConfigTest, ValuesOutsideTheirDomainAreNamed) {
  for (const char* text :
       {"", "als { factors: 0 }", "als { iterations: 0 }", "als { alpha: -1 }",
        "als {} evaluation { split: \"sideways\" }", "als {} evaluation { test_fraction: 1.5 }",
        "als {} checkpoint { every: 0 }", "als {} early_stopping { patience: 0 }",
        "als {} num_threads: -1", "als {} device: \"tpu\"", "als {} evaluation { k: 0 }"}) {
    EXPECT_THROW(ValidateTrainConfig(ParseTrainConfig(text, "c")), InvalidArgument) << text;
  }
  EXPECT_THROW(ValidateTrainConfig(ParseTrainConfig("als {} device: \"cuda\"", "c")), DeviceError);
  ValidateTrainConfig(ParseTrainConfig("als {}", "c"));
  ValidateTrainConfig(ParseTrainConfig("popularity {}", "c"));
}

}  // namespace
}  // namespace penchant
