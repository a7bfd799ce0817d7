#include "kernels/base/philox.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <vector>

#include "kernels/base/isa.h"
#include "kernels/base/philox_words.h"

namespace penchant {
namespace {

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10).
TEST(PhiloxTest, KnownAnswers) {
  EXPECT_EQ(Philox(0, 0, 0), (PhiloxWords{{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}));
  EXPECT_EQ(Philox(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}),
            (PhiloxWords{{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}));
}

TEST(PhiloxTest, NormalsHaveMeanZeroAndVarianceOne) {
  double sum = 0, squares = 0;
  const int n = 100000;
  for (int i = 0; i < n; ++i) {
    const auto words = Philox(5, static_cast<uint64_t>(i), 0);
    const auto normal = StandardNormal(words[0], words[1]);
    sum += normal[0] + normal[1];
    squares += normal[0] * normal[0] + normal[1] * normal[1];
  }
  EXPECT_NEAR(sum / (2 * n), 0.0, 0.01);
  EXPECT_NEAR(squares / (2 * n), 1.0, 0.02);
}

TEST(PhiloxTest, ManyWordsAtATimeAreTheSame) {
  const Isa before = SelectedIsa();
  for (Isa isa : SupportedIsas()) {
    SelectIsa(isa);
    for (int64_t count : {0, 1, 7, 8, 9, 50}) {
      const uint64_t key = 0x123456789abcdef0, low = 0xfedcba9876543210, high = 0x0000000312345678;
      std::vector<uint32_t> words(4 * (count + kPhiloxWordsRoom));
      SelectedFillPhiloxWords()(key, low, high, count, words.data());
      for (int64_t i = 0; i < count; ++i) {
        const PhiloxWords wanted = Philox(key, low, high + static_cast<uint64_t>(i));
        for (int w = 0; w < 4; ++w) ASSERT_EQ(words[4 * i + w], wanted[w]) << i << " of " << count;
      }
    }
  }
  SelectIsa(before);
}

TEST(PhiloxTest, SeedsAndPurposesShareNoKey) {
  std::set<uint64_t> keys;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (uint64_t purpose = 0; purpose < 10; ++purpose) keys.insert(SubSeed(seed, purpose));
  }
  EXPECT_EQ(keys.size(), 1000u);
}

TEST(PhiloxTest, UniformBelowStaysBelow) {
  EXPECT_EQ(UniformBelow(~0u, ~0u, 10), 9u);
  EXPECT_EQ(UniformBelow(0, 0, 10), 0u);
  EXPECT_LT(UniformOpen(~0u), 1.0f);
  EXPECT_GT(UniformOpen(0), 0.0f);
}

}  // namespace
}  // namespace penchant
