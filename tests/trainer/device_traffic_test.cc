// What a fit on a CUDA device moves: the interactions and tables there once, the tables back once,
// and in between nothing that grows with the data, with one wait an iteration; and an evaluation.
#include <gtest/gtest.h>

#include "tests/cuda_host/runtime.h"
#include "tests/support/training.h"
#include "trainer/evaluator.h"

namespace penchant {
namespace {

using cuda_host::traffic;
using cuda_host::Traffic;

constexpr int64_t kUsers = 1000, kItems = 800, kFactors = 8;

Traffic Between(const Traffic& before, const Traffic& after) {
  return {after.bytes_to_device - before.bytes_to_device,
          after.bytes_to_host - before.bytes_to_host, after.waits - before.waits};
}

// Three a user: their number is nothing beside the tables'.
std::shared_ptr<Interactions> FewInteractions() {
  std::vector<int32_t> users, items;
  for (int32_t u = 0; u < kUsers; ++u) {
    for (int32_t j = 0; j < 3; ++j) {
      users.push_back(u);
      items.push_back((u * 7 + j * 31) % kItems);
    }
  }
  return MakeInteractions(std::make_shared<IdDictionary>(IdDictionary::Range(kUsers)),
                          std::make_shared<IdDictionary>(IdDictionary::Range(kItems)),
                          {users, items, {}}, Duplicates::kError);
}

class FitTrafficTest : public ::testing::TestWithParam<std::string> {};

TEST_P(FitTrafficTest, AFitGoesUpOnceAndComesBackOnce) {
  const auto data = FewInteractions();
  const auto context = testing::ContextOn("cuda_on_host", 2);
  const int64_t tables = (kUsers + kItems) * PaddedStride(kFactors) * 4;
  const int64_t interactions =
      data->nnz() * 4 + static_cast<int64_t>(data->user_items.values.size()) * 4 + (kUsers + 1) * 8;
  // What an iteration needs of and for the host: Gram matrices, their eigenvectors and eigenvalues
  // of both halves, in double, and a few counts.
  constexpr int64_t kSmall = 2 * 3 * kFactors * kFactors * 8 + 1000;
  static_assert(10 * kSmall < kItems * PaddedStride(kFactors) * 4);

  std::vector<Traffic> seen;
  const Traffic before = traffic;
  Session(testing::Options(
              "als { factors: 8 iterations: 4 alpha: 1 regularization: 0.1 unobserved_weight: 0.1 "
              "dtype: '" +
                  GetParam() + "' }",
              data))
      .Run(*context, [&](const IterationReport&) {
        seen.push_back(traffic);
        return true;
      });
  const Traffic whole = Between(before, traffic);
  EXPECT_GE(whole.bytes_to_device, interactions + tables);
  EXPECT_LT(whole.bytes_to_device, interactions + tables + 5 * kSmall);
  EXPECT_GE(whole.bytes_to_host, tables);
  EXPECT_LT(whole.bytes_to_host, tables + 5 * kSmall);
  ASSERT_EQ(seen.size(), 4u);
  for (size_t i = 1; i < seen.size(); ++i) {
    const Traffic iteration = Between(seen[i - 1], seen[i]);
    EXPECT_LT(iteration.bytes_to_device, kSmall);
    EXPECT_LT(iteration.bytes_to_host, kSmall);
    EXPECT_EQ(iteration.waits, 1);
  }
}

// Not the lists.
TEST(DeviceTrafficTest, AnEvaluationBringsBackItsMetricsAlone) {
  const auto data = FewInteractions();
  const auto context = testing::ContextOn("cuda_on_host", 2);
  const DeviceMatrix users(*context, testing::RandomMatrix(kUsers, kFactors, 1)),
      items(*context, testing::RandomMatrix(kItems, kFactors, 2));
  const Traffic before = traffic;
  Evaluate(*context, users.view(), items.view(), data->user_items.view(), nullptr, {20});
  const Traffic seen = Between(before, traffic);
  EXPECT_EQ(seen.bytes_to_host, kUsers * static_cast<int64_t>(sizeof(RankingMetrics)) + kItems);
  EXPECT_LT(seen.bytes_to_device, data->nnz() * 4 + (kUsers + 1) * 8 + kUsers * 12 + 1000);
}

INSTANTIATE_TEST_SUITE_P(Of, FitTrafficTest, ::testing::Values("float32", "bfloat16"));

}  // namespace
}  // namespace penchant
