#include "kernels/sparse/csr.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "kernels/base/errors.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

TEST(CsrTest, MergesDuplicatesAsAMapWould) {
  std::mt19937_64 random(3);
  std::vector<int32_t> rows, cols;
  std::vector<float> values;
  std::map<std::pair<int32_t, int32_t>, std::vector<float>> seen;
  for (int i = 0; i < 5000; ++i) {
    rows.push_back(static_cast<int32_t>(random() % 40));
    cols.push_back(static_cast<int32_t>(random() % 60));
    values.push_back(static_cast<float>(random() % 9) - 4.0f);
    seen[{rows.back(), cols.back()}].push_back(values.back());
  }
  for (Duplicates policy : {Duplicates::kSum, Duplicates::kMax, Duplicates::kLast}) {
    int64_t merged = 0;
    const Csr csr = CsrFromCoordinates({rows, cols, values}, 40, 60, policy, &merged);
    EXPECT_EQ(merged, 5000 - static_cast<int64_t>(seen.size()));
    std::map<std::pair<int32_t, int32_t>, float> wanted;
    for (const auto& [pair, list] : seen) {
      float value = list[0];
      for (size_t i = 1; i < list.size(); ++i) {
        value = policy == Duplicates::kSum   ? value + list[i]
                : policy == Duplicates::kMax ? std::max(value, list[i])
                                             : list[i];
      }
      if (value != 0) wanted[pair] = value;
    }
    ASSERT_EQ(csr.nnz(), static_cast<int64_t>(wanted.size()));
    ValidateCsr(csr.view(), csr.nnz(), "merged");
    for (int64_t r = 0; r < 40; ++r) {
      for (int64_t e = csr.offsets[r]; e < csr.offsets[r + 1]; ++e) {
        const auto value = wanted.at({static_cast<int32_t>(r), csr.indices[e]});
        EXPECT_EQ(csr.values[e], value);
      }
    }
  }
}

TEST(CsrTest, DuplicatesCanBeAnError) {
  const std::vector<int32_t> rows = {0, 1, 0}, cols = {2, 2, 2};
  EXPECT_THROW(CsrFromCoordinates({rows, cols, {}}, 2, 3, Duplicates::kError, nullptr), DataError);
}

TEST(CsrTest, UnitWeightsAreNotStoredUnlessTheySum) {
  const std::vector<int32_t> rows = {0, 1, 0}, cols = {2, 2, 2};
  EXPECT_TRUE(
      CsrFromCoordinates({rows, cols, {}}, 2, 3, Duplicates::kLast, nullptr).values.empty());
  const Csr summed = CsrFromCoordinates({rows, cols, {}}, 2, 3, Duplicates::kSum, nullptr);
  EXPECT_EQ(summed.values, (std::vector<float>{2.0f, 1.0f}));
}

TEST(CsrTest, TransposeTwiceIsTheSame) {
  const Csr csr = testing::RandomCsr({3, 0, 7, 1}, 11, 5, false);
  const Csr back = Transpose(Transpose(csr.view()).view());
  EXPECT_EQ(back.offsets, csr.offsets);
  EXPECT_EQ(back.indices, csr.indices);
  EXPECT_EQ(back.values, csr.values);
}

TEST(CsrTest, ValidateNamesTheFault) {
  Csr csr = testing::RandomCsr({2, 2}, 5, 5, true);
  csr.indices = {1, 1, 0, 4};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
  csr.indices = {0, 1, 0, 5};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
  csr.indices = {0, 1, 0, 4};
  ValidateCsr(csr.view(), 4, "m");
  csr.offsets = {0, 9, 4};
  EXPECT_THROW(ValidateCsr(csr.view(), 4, "m"), InvalidArgument);
}

}  // namespace
}  // namespace penchant
