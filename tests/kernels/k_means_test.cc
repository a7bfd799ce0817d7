#include "kernels/cluster/k_means.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

using testing::RandomMatrix;

// `k` groups of rows around corners ten apart, row i in group i % k.
Matrix Groups(int64_t rows, int64_t k, int64_t cols) {
  Matrix table = RandomMatrix(rows, cols, 3);
  for (int64_t i = 0; i < rows; ++i) table.row(i)[i % k % cols] += 10.0f * (1 + i % k / cols);
  return table;
}

double Square(const float* a, const float* b, int64_t d) {
  double sum = 0;
  for (int64_t k = 0; k < d; ++k) sum += (double{a[k]} - b[k]) * (double{a[k]} - b[k]);
  return sum;
}

class KMeansTest : public testing::DeviceTest {};

TEST_P(KMeansTest, LloydEndsWhereRowsAreNearestAndCentersMeans) {
  const Matrix table = RandomMatrix(300, 7, 1);
  const KMeansResult got = KMeans(context(), table.view(), {.k = 9});
  double inertia = 0;
  for (int64_t i = 0; i < 300; ++i) {
    double nearest = INFINITY;
    for (int64_t c = 0; c < 9; ++c) {
      nearest = std::min(nearest, Square(table.row(i), got.centers.row(c), 7));
    }
    EXPECT_NEAR(Square(table.row(i), got.centers.row(got.labels[i]), 7), nearest, 1e-5);
    EXPECT_NEAR(got.squares[i], nearest, 1e-5);
    inertia += nearest;
  }
  EXPECT_NEAR(got.inertia, inertia, 1e-4 * inertia);
  EXPECT_LT(got.iterations, 100);
  for (int64_t c = 0; c < 9; ++c) {
    for (int64_t k = 0; k < 7; ++k) {
      double sum = 0, count = 0;
      for (int64_t i = 0; i < 300; ++i) {
        if (got.labels[i] != c) continue;
        sum += table.row(i)[k];
        ++count;
      }
      ASSERT_GT(count, 0);
      EXPECT_NEAR(got.centers.row(c)[k], sum / count, 1e-5);
    }
  }
}

TEST_P(KMeansTest, NearestCentersAreNearest) {
  const Matrix rows = RandomMatrix(500, 5, 1), centers = RandomMatrix(30, 5, 2);
  const auto nearest = NearestCenters(context(), rows.view(), centers.view());
  ASSERT_EQ(nearest.size(), 500u);
  for (int64_t i = 0; i < 500; ++i) {
    const double found = Square(rows.row(i), centers.row(nearest[i]), 5);
    for (int64_t c = 0; c < 30; ++c) {
      EXPECT_LE(found, Square(rows.row(i), centers.row(c), 5) + 1e-5);
    }
  }
  EXPECT_THROW(NearestCenters(context(), rows.view(), RandomMatrix(30, 4, 2).view()),
               InvalidArgument);
}

// A start may miss a group; the best of three does not.
TEST_P(KMeansTest, PlantedGroupsAreFoundWholeAndInBatches) {
  const Matrix table = Groups(600, 12, 5);
  for (int64_t batch : {1000, 200}) {
    KMeansResult got;
    got.inertia = INFINITY;
    for (uint64_t seed : {1, 2, 3}) {
      KMeansResult next = KMeans(context(), table.view(), {.k = 12, .batch = batch, .seed = seed});
      if (next.inertia < got.inertia) got = std::move(next);
    }
    std::set<int32_t> labels;
    for (int64_t group = 0; group < 12; ++group) labels.insert(got.labels[group]);
    EXPECT_EQ(labels.size(), 12u) << batch;
    for (int64_t i = 0; i < 600; ++i) ASSERT_EQ(got.labels[i], got.labels[i % 12]) << batch;
  }
}

TEST_P(KMeansTest, TheSameBitsForAnyThreads) {
  const Matrix table = RandomMatrix(600, 8, 5);
  for (int64_t batch : {1000, 200}) {
    const auto run = [&](int threads) {
      return KMeans(*MakeContext(threads), table.view(),
                    {.k = 20, .max_iterations = 5, .batch = batch});
    };
    const KMeansResult one = run(1), three = run(3);
    EXPECT_EQ(one.labels, three.labels);
    for (int64_t c = 0; c < 20; ++c) {
      ASSERT_EQ(0, std::memcmp(one.centers.row(c), three.centers.row(c), 8 * sizeof(float)));
    }
  }
}

TEST_P(KMeansTest, AsManyCentersAsRowsAndRowsAlike) {
  const Matrix table = RandomMatrix(6, 3, 5);
  const KMeansResult each = KMeans(context(), table.view(), {.k = 6});
  EXPECT_EQ(std::set(each.labels.begin(), each.labels.end()).size(), 6u);
  EXPECT_NEAR(each.inertia, 0.0, 1e-9);
  Matrix alike(10, 3);
  for (int64_t i = 0; i < 10; ++i) alike.row(i)[1] = 2.0f;
  const KMeansResult one = KMeans(context(), alike.view(), {.k = 4});
  EXPECT_EQ(one.inertia, 0.0);
}

PENCHANT_ON_ALL_DEVICES(KMeansTest);

TEST(KMeansInputTest, WhatCannotBeGroupedIsNamed) {
  Context context(1);
  Matrix table = RandomMatrix(5, 3, 1);
  const auto message = [&](const KMeansOptions& options) -> std::string {
    try {
      KMeans(context, table.view(), options);
    } catch (const InvalidArgument& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message({.k = 6}), "k must be in [1, 5], the number of rows; got 6");
  EXPECT_EQ(message({.k = 0}), "k must be in [1, 5], the number of rows; got 0");
  EXPECT_EQ(message({.k = 2, .max_iterations = 0}), "max_iterations must be at least 1; got 0");
  table.row(3)[1] = NAN;
  EXPECT_EQ(message({.k = 2}), "row 3 holds nan");
}

}  // namespace
}  // namespace penchant
