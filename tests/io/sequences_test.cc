#include "io/dataset/sequences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penchant {
namespace {

using ::testing::ElementsAre;

std::shared_ptr<Interactions> ThreeUsers(const EventLog& events) {
  auto data = MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(3)),
                               std::make_shared<IdDictionary>(IdDictionary::Range(4)),
                               {events.users, events.items, events.weights}, Duplicates::kSum);
  data->events = events;
  return data;
}

TEST(SequencesTest, FollowTimesWithTiesAsTheyWereRead) {
  const auto data = ThreeUsers({{2, 0, 0, 2, 0, 2, 0},
                                {1, 3, 2, 1, 0, 3, 2},
                                {1, 1, 1, 1, 1, -1, 1},
                                {9, 5, 5, 3, 1, 4, 7}});
  const Sequences sequences = MakeSequences(*data);
  EXPECT_TRUE(sequences.ordered);
  EXPECT_THAT(sequences.tokens, ElementsAre(0, 3, 2, 2, 1, 1));
  EXPECT_THAT(sequences.bounds, ElementsAre(0, 4, 4, 6));
  EXPECT_THAT(sequences.offsets, ElementsAre(0, 1, 3, 5, 6));
  EXPECT_THAT(sequences.positions, ElementsAre(0, 4, 5, 2, 3, 1));
  EXPECT_THAT(sequences.users, ElementsAre(0, 2, 2, 0, 0, 0));
}

TEST(SequencesTest, WithoutTimesAreBasketsOfLikedItems) {
  const auto data = ThreeUsers({{2, 0, 0, 2}, {1, 3, 2, 1}, {1, 1, -1, 1}, {}});
  data->events = {};
  const Sequences sequences = MakeSequences(*data);
  EXPECT_FALSE(sequences.ordered);
  EXPECT_THAT(sequences.tokens, ElementsAre(3, 1));
  EXPECT_THAT(sequences.bounds, ElementsAre(0, 1, 1, 2));
}

}  // namespace
}  // namespace penchant
