#include "trainer/evaluator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

TEST(MetricsTest, AnUnknownNameIsRefused) {
  EXPECT_THROW(MetricByName({}, "accuracy"), InvalidArgument);
}

class EvaluatorTest : public testing::DeviceTest {};

// LightGCN's code, transcribed naively: sort all items, mask training items, loop.
TEST_P(EvaluatorTest, MatchesANaiveEvaluation) {
  const int64_t users = 30, items = 120;
  const Matrix user_table = testing::RandomMatrix(users, 6, 1);
  const Matrix item_table = testing::RandomMatrix(items, 6, 2);
  std::vector<int64_t> sizes(users);
  for (int64_t u = 0; u < users; ++u) sizes[u] = u % 7;
  const Csr both = testing::RandomCsr(std::vector<int64_t>(users, 20), items, 3, true);
  Csr train, test;
  train.rows = test.rows = users;
  train.cols = test.cols = items;
  for (int64_t u = 0; u < users; ++u) {
    const auto row = both.view().row_indices(u);
    for (size_t j = 0; j < row.size(); ++j) {
      const bool in_test = static_cast<int64_t>(j) < sizes[u];
      (in_test ? test : train).indices.push_back(row[j]);
    }
    train.offsets.push_back(train.nnz());
    test.offsets.push_back(test.nnz());
  }
  const CsrView train_view = train.view();
  const DeviceMatrix user_rows(context(), user_table.view()),
      item_rows(context(), item_table.view());
  const Evaluation got =
      Evaluate(context(), user_rows.view(), item_rows.view(), test.view(), &train_view, {5, 20});
  for (size_t c = 0; c < 2; ++c) {
    const int64_t k = c == 0 ? 5 : 20;
    double recall = 0, ndcg = 0;
    int64_t counted = 0;
    std::set<int32_t> covered;
    for (int64_t u = 0; u < users; ++u) {
      if (sizes[u] == 0) continue;
      ++counted;
      const auto seen = train_view.row_indices(u);
      const auto truth = test.view().row_indices(u);
      const auto list = oracle::TopK({user_table.row(u), user_table.row(u) + 6}, item_table.view(),
                                     k, {seen.begin(), seen.end()});
      double hits = 0, dcg = 0, idcg = 0;
      for (size_t r = 0; r < list.size(); ++r) {
        covered.insert(list[r].second);
        if (std::find(truth.begin(), truth.end(), list[r].second) != truth.end()) {
          hits += 1;
          dcg += 1 / std::log2(static_cast<double>(r) + 2);
        }
      }
      for (int64_t r = 0; r < std::min<int64_t>(k, sizes[u]); ++r) {
        idcg += 1 / std::log2(static_cast<double>(r) + 2);
      }
      recall += hits / static_cast<double>(sizes[u]);
      ndcg += dcg / idcg;
    }
    EXPECT_EQ(static_cast<int64_t>(got.users.size()), counted);
    EXPECT_NEAR(MeanMetric(got.at_k[c], "recall"), recall / static_cast<double>(counted), 1e-12);
    EXPECT_NEAR(MeanMetric(got.at_k[c], "ndcg"), ndcg / static_cast<double>(counted), 1e-12);
    EXPECT_DOUBLE_EQ(got.at_k[c].coverage,
                     static_cast<double>(covered.size()) / static_cast<double>(items));
  }
}

TEST_P(EvaluatorTest, PaddingIsNeverAHit) {
  // Two items, one excluded: a list of ten has nine padded places.
  const DeviceMatrix users(context(), testing::RandomMatrix(1, 2, 1));
  const DeviceMatrix items(context(), testing::RandomMatrix(2, 2, 2));
  const Csr train = testing::RandomCsr({1}, 2, 5, true);
  Csr test;
  test.rows = 1;
  test.cols = 2;
  test.indices = {1 - train.indices[0]};
  test.offsets = {0, 1};
  const CsrView train_view = train.view();
  const Evaluation evaluation =
      Evaluate(context(), users.view(), items.view(), test.view(), &train_view, {10});
  EXPECT_DOUBLE_EQ(evaluation.at_k[0].per_user[0].precision, 0.1);
  EXPECT_DOUBLE_EQ(evaluation.at_k[0].per_user[0].recall, 1.0);
}

PENCHANT_ON_ALL_DEVICES(EvaluatorTest);

TEST(EvaluationRefusalTest, OverlapAndEmptyTestsRaise) {
  Context context(1);
  const Matrix users = testing::RandomMatrix(2, 2, 1), items = testing::RandomMatrix(9, 2, 2);
  const Csr both = testing::RandomCsr({3, 3}, 9, 5, true);
  const Csr none = testing::RandomCsr({0, 0}, 9, 5, true);
  const CsrView view = both.view();
  EXPECT_THROW(Evaluate(context, users.view(), items.view(), view, &view, {5}), DataError);
  EXPECT_THROW(Evaluate(context, users.view(), items.view(), none.view(), nullptr, {5}),
               InvalidArgument);
  EXPECT_THROW(Evaluate(context, users.view(), items.view(), view, nullptr, {}), InvalidArgument);
}

}  // namespace
}  // namespace penchant
