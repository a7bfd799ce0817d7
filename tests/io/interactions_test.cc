#include "io/dataset/interactions.h"

#include <gtest/gtest.h>

#include "io/dataset/split.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

std::shared_ptr<Interactions> Timed() {
  // user, item, time: pair (0, 0) on both sides of time 5; user 2 has one item only.
  const std::vector<int32_t> users = {0, 0, 0, 1, 1, 2};
  const std::vector<int32_t> items = {0, 1, 0, 1, 2, 0};
  auto interactions = MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(3)),
                                       std::make_shared<IdDictionary>(IdDictionary::Range(3)),
                                       {users, items, {}}, Duplicates::kSum);
  interactions->events = {users, items, {}, {1, 2, 9, 3, 7, 6}};
  return interactions;
}

TEST(SplitTest, ByTimeLeavesTrainingPairsOutOfTheTest) {
  EXPECT_EQ(SplitAtTime(*Timed(), 5, true).test->nnz(), 2);  // (1, 2), (2, 0); (0, 0) came back
  const Split split = SplitAtTime(*Timed(), 5, false);
  EXPECT_EQ(split.train->nnz(), 3);
  EXPECT_EQ(split.test->nnz(), 1);  // user 2 is new
  EXPECT_EQ(split.test->report.rows_cold, 1);
  EXPECT_EQ(CountOverlap(split.train->user_items.view(), split.test->user_items.view()), 0);
  EXPECT_EQ(split.train->users, split.test->users);
  // Only events before the cut count in training: (0, 0) weighs one, not two.
  EXPECT_TRUE(split.train->user_items.values.empty());
}

TEST(SplitTest, ByTimeTakesTheLastShareOfEvents) {
  const Split split = SplitByTime(*Timed(), 0.34, false);
  EXPECT_EQ(split.train->events.users.size(), 4u);
  for (int64_t time : split.train->events.times) EXPECT_LT(time, 7);
}

TEST(SplitTest, LastItemTakesAllEventsOfThatItem) {
  const Split split = SplitLastItem(*Timed());
  EXPECT_EQ(split.test->user_items.indices, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(split.train->nnz(), 3);  // (0, 1), (1, 1), (2, 0)
  EXPECT_EQ(CountOverlap(split.train->user_items.view(), split.test->user_items.view()), 0);
}

TEST(SplitTest, RandomIsDecidedBySeedAndPair) {
  const auto data = Timed();
  for (double fraction : {0.2, 0.5, 0.8}) {
    const Split a = SplitRandom(*data, fraction, 3), b = SplitRandom(*data, fraction, 3);
    EXPECT_EQ(a.test->user_items.indices, b.test->user_items.indices);
    EXPECT_EQ(a.train->nnz() + a.test->nnz(), data->nnz());
    EXPECT_EQ(CountOverlap(a.train->user_items.view(), a.test->user_items.view()), 0);
  }
}

TEST(SplitTest, TellsWhatItNeeds) {
  auto untimed = Timed();
  untimed->events = {};
  EXPECT_THROW(SplitByTime(*untimed, 0.1, false), InvalidArgument);
  EXPECT_THROW(SplitLastItem(*untimed), InvalidArgument);
  EXPECT_THROW(SplitRandom(*untimed, 0.0, 1), InvalidArgument);
  EXPECT_THROW(SplitByTime(*Timed(), 1.0, false), InvalidArgument);
}

TEST(InteractionsTest, BothOrientationsAgreeAndFingerprintsDiffer) {
  const auto data = Timed();
  EXPECT_EQ(Transpose(data->item_users.view()).indices, data->user_items.indices);
  EXPECT_EQ(data->Fingerprint(), Timed()->Fingerprint());
  const Split split = SplitAtTime(*data, 5, false);
  EXPECT_NE(data->Fingerprint(), split.train->Fingerprint());
}

}  // namespace
}  // namespace penchant
