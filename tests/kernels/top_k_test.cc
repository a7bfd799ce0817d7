#include "kernels/score/top_k.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

using testing::RandomCsr;
using testing::RandomMatrix;

class TopKTest : public testing::DeviceTest {
 protected:
  // The lists of host queries against host items (of `subset` only, if not null).
  TopLists Search(const Matrix& items, MatrixView<const float> queries, const TopKOptions& options,
                  const std::vector<int32_t>* subset = nullptr) {
    const DeviceMatrix table(context(), items.view());
    const ItemIndex index = subset != nullptr ? ItemIndex(context(), table.view(), *subset)
                                              : ItemIndex(context(), table.view());
    return TopKFromHost(context(), queries, index, options, items.rows());
  }
};

std::vector<float> Row(const Matrix& matrix, int64_t i) {
  return {matrix.row(i), matrix.row(i) + matrix.cols()};
}

TEST_P(TopKTest, MatchesSortingEverything) {
  for (int64_t num_items : {1, 31, 32, 33, 500}) {
    for (int64_t d : {1, 7, 32}) {
      Matrix items = RandomMatrix(num_items, d, num_items + d);
      // Norms over several magnitudes, so that the search really stops early.
      for (int64_t i = 0; i < num_items; ++i) {
        for (int64_t k = 0; k < d; ++k) items.row(i)[k] /= static_cast<float>(1 + i % 17);
      }
      const Matrix queries = RandomMatrix(53, d, 99);
      std::vector<int64_t> lengths(53);
      for (size_t q = 0; q < 53; ++q)
        lengths[q] = static_cast<int64_t>(q) % std::min<int64_t>(num_items + 1, 20);
      const Csr seen = RandomCsr(lengths, num_items, 4, true);
      const CsrView exclusions = seen.view();
      TopKOptions options;
      options.k = 10;
      options.exclusions = &exclusions;
      const auto [ids, scores] = Search(items, queries.view(), options);
      for (int64_t q = 0; q < 53; ++q) {
        const auto excluded = exclusions.row_indices(q);
        const auto wanted =
            oracle::TopK(Row(queries, q), items.view(), 10, {excluded.begin(), excluded.end()});
        for (size_t r = 0; r < 10; ++r) {
          if (r >= wanted.size()) {
            EXPECT_EQ(ids[q * 10 + r], -1);
            EXPECT_EQ(scores[q * 10 + r], -std::numeric_limits<float>::infinity());
          } else {
            EXPECT_NEAR(scores[q * 10 + r], wanted[r].first, 1e-5);
          }
        }
      }
    }
  }
}

TEST_P(TopKTest, TiesGoToTheSmallerRowWhateverTheBlocks) {
  Matrix items(300, 5);
  for (int64_t i = 0; i < 300; ++i) {
    for (int64_t k = 0; k < 5; ++k) items.row(i)[k] = 1.0f;  // all the same
  }
  Matrix queries(30, 5);
  for (int64_t q = 0; q < 30; ++q) queries.row(q)[q % 5] = 1.0f;
  TopKOptions options;
  options.k = 7;
  const auto [ids, scores] = Search(items, queries.view(), options);
  for (int64_t q = 0; q < 30; ++q) {
    for (int32_t r = 0; r < 7; ++r) EXPECT_EQ(ids[q * 7 + r], r);
  }
}

TEST_P(TopKTest, AScoreDoesNotDependOnItsNeighbours) {
  const Matrix items = RandomMatrix(400, 37, 1), queries = RandomMatrix(60, 37, 2);
  TopKOptions options;
  options.k = 400;
  const TopLists all = Search(items, queries.view(), options);
  std::vector<float> by_item(400);
  for (int64_t r = 0; r < 400; ++r) by_item[all.ids[17 * 400 + r]] = all.scores[17 * 400 + r];
  const std::vector<int32_t> subset = {399, 5, 123};
  MatrixView<const float> one{queries.row(17), 1, 37, queries.stride()};
  options.k = 3;
  const TopLists few = Search(items, one, options, &subset);
  for (int r = 0; r < 3; ++r) {
    // On CUDA the scores come from cuBLAS, whose rounding may depend on the shape.
    EXPECT_NEAR(few.scores[r], by_item[few.ids[r]], on_cuda() ? 1e-5 : 0.0);
  }
}

TEST_P(TopKTest, DeniedItemsAndNaNScoresNeverAppear) {
  Matrix items = RandomMatrix(100, 4, 1);
  items.row(40)[0] = std::nanf("");
  const Matrix queries = RandomMatrix(20, 4, 2);
  std::vector<uint8_t> denied(100, 0);
  for (int i = 0; i < 100; i += 3) denied[i] = 1;
  TopKOptions options;
  options.k = 90;
  options.denied = denied.data();
  const auto [ids, scores] = Search(items, queries.view(), options);
  for (int32_t id : ids) {
    EXPECT_NE(id, 40);
    if (id >= 0) {
      EXPECT_NE(id % 3, 0);
    }
  }
}

TEST_P(TopKTest, RefusesNonsense) {
  const Matrix items = RandomMatrix(10, 4, 1), queries = RandomMatrix(2, 5, 1);
  EXPECT_THROW(Search(items, queries.view(), {}), InvalidArgument);
  const std::vector<int32_t> subset = {10};
  EXPECT_THROW(Search(items, queries.view(), {}, &subset), InvalidArgument);
}

TEST_P(TopKTest, ManyItemsInSeveralTilesAndLongLists) {
  // More items than one tile of scores on CUDA, and lists that overflow its buffer many times:
  // scores rise with the row, so that every item beats all before it.
  const int64_t num_items = 70000;
  Matrix items(num_items, 2);
  for (int64_t i = 0; i < num_items; ++i) items.row(i)[0] = static_cast<float>(i);
  Matrix queries(2, 2);
  queries.row(0)[0] = 1.0f;
  queries.row(1)[0] = -1.0f;
  TopKOptions options;
  options.k = 1500;
  const TopLists lists = Search(items, queries.view(), options);
  for (int32_t r = 0; r < 1500; ++r) {
    ASSERT_EQ(lists.ids[r], num_items - 1 - r);
    ASSERT_EQ(lists.ids[1500 + r], r);
  }
}

PENCHANT_ON_ALL_DEVICES(TopKTest);

}  // namespace
}  // namespace penchant
