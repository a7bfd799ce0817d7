#include "trainer/algorithms/sgd_training.h"

#include <gtest/gtest.h>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

TEST(ScheduleTest, RatesFallFromTheWholeTowardsNothing) {
  for (const char* name : {"linear", "cosine"}) {
    ValidateSchedule(name);
    EXPECT_EQ(ScheduleShare(name, 0, 10), 1.0);
    EXPECT_NEAR(ScheduleShare(name, 5, 10), 0.5, 1e-12);
    for (int epoch = 1; epoch < 10; ++epoch) {
      EXPECT_LT(ScheduleShare(name, epoch, 10), ScheduleShare(name, epoch - 1, 10));
      EXPECT_GT(ScheduleShare(name, epoch, 10), 0.0);
    }
  }
  EXPECT_NEAR(ScheduleShare("linear", 1, 10), 0.9, 1e-12);
  EXPECT_GT(ScheduleShare("cosine", 1, 10), 0.97);
  EXPECT_EQ(ScheduleShare("constant", 9, 10), 1.0);
  EXPECT_THROW(ValidateSchedule("stairs"), InvalidArgument);
}

TEST(EpochProgressTest, PartsThatNoEpochHasAreRefused) {
  EXPECT_THROW(EpochProgress(7, {.parts_done = kEpochParts}), DataError);
  EXPECT_THROW(EpochProgress(7, {.parts_done = -1}), DataError);
}

TEST(EpochProgressTest, StopsBetweenPartsAndGoesOnThere) {
  EpochProgress progress(7, {.iterations_done = 2, .parts_done = 1});
  std::vector<int> parts;
  const auto run = [&](const EpochPart& part) {
    EXPECT_EQ(part.epoch, 2);
    parts.push_back(part.part);
    return EpochReport{};
  };
  progress.GoOn([] { return true; }, run);
  EXPECT_FALSE(progress.Advance());
  EXPECT_EQ(progress.part().part, 2);
  progress.GoOn([] { return false; }, run);
  EXPECT_TRUE(progress.Advance());
  EXPECT_EQ(parts, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(progress.part().part, 0);
  EXPECT_EQ(progress.epoch_number(), 4);
}

}  // namespace
}  // namespace penchant
