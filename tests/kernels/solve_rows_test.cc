#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"
#include "tests/support/row_solver.h"

namespace penchant {
namespace {

using testing::FixedTable;
using testing::RandomCsr;
using testing::RandomMatrix;
using testing::RelativeErrors;
using testing::Solve;
using testing::Solved;
using testing::TestObjective;
using testing::WorstError;

// Row lengths around every boundary of lanes, tiles, their halves and sides, an empty row, and long
// rows.
std::vector<int64_t> BoundaryLengths(int64_t factors, int64_t cols) {
  std::vector<int64_t> lengths = {0,  1,  2,  3,  4,  5,   7,   8,   9,   15,  16,  17,  31,
                                  32, 33, 63, 64, 65, 127, 128, 129, 130, 255, 256, 257, 300};
  for (int64_t delta : {-1, 0, 1}) lengths.push_back(factors + delta);
  for (int64_t n : {24, 25, 48, 49, 80, 81, 144, 145}) lengths.push_back(n);
  std::vector<int64_t> possible;
  for (int64_t n : lengths) {
    if (n >= 0 && n <= cols) possible.push_back(n);
  }
  return possible;
}

class SolveRowsTest : public testing::DeviceTest {};

TEST_P(SolveRowsTest, MatchesTheNormalEquationsInDouble) {
  for (int64_t factors : {1, 3, 15, 16, 17, 40, 64, 100}) {
    for (bool unit : {true, false}) {
      const Csr rows = RandomCsr(BoundaryLengths(factors, 320), 320, 7 + factors, unit);
      FixedTable fixed(context(), RandomMatrix(320, factors, factors, 0.3f));
      const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
      EXPECT_EQ(solved.report.retried_rows, 0);
      const auto errors = RelativeErrors(TestObjective(), fixed, rows.view(), solved.out);
      for (int64_t i = 0; i < rows.rows; ++i) {
        EXPECT_LT(errors[i], 2e-5)
            << "factors " << factors << " row of " << rows.view().row_size(i);
      }
    }
  }
}

TEST_P(SolveRowsTest, AccurateForEveryCondition) {
  // Confidences over five magnitudes: from systems near the identity to large condition numbers.
  const Csr rows = RandomCsr({30, 64, 100, 128, 129, 160, 161, 300}, 320, 5, false);
  for (int64_t factors : {64, 160}) {
    FixedTable fixed(context(), RandomMatrix(320, factors, 8, 0.3f));
    for (double alpha : {1e-3, 0.03, 1.0, 10.0, 100.0}) {
      AlsObjective objective = TestObjective();
      objective.alpha = alpha;
      const Solved solved = Solve(context(), objective, fixed, rows.view());
      EXPECT_EQ(solved.report.retried_rows, 0) << "alpha " << alpha;
      auto errors = RelativeErrors(objective, fixed, rows.view(), solved.out);
      std::sort(errors.begin(), errors.end());
      EXPECT_LT(errors[errors.size() / 2], 5e-6) << "alpha " << alpha << " factors " << factors;
      EXPECT_LT(errors.back(), alpha < 50 ? 2e-5 : 2e-4) << "alpha " << alpha;
    }
  }
}

TEST_P(SolveRowsTest, LongSumsOfLikeSignsKeepTheirDigits) {
  // Sums that never cancel, over thousands of observations: what drops digits at every step shows.
  const Csr rows = RandomCsr({900, 3900, 5000, 9000}, 9500, 31, true);
  for (int64_t factors : {24, 72}) {
    Matrix items = RandomMatrix(9500, factors, 8, 0.3f);
    for (int64_t i = 0; i < items.rows(); ++i) {
      for (int64_t k = 0; k < factors; ++k) items.row(i)[k] = std::fabs(items.row(i)[k]);
    }
    FixedTable fixed(context(), std::move(items));
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 5e-6) << factors;
  }
}

TEST_P(SolveRowsTest, RowsOfBfloat16MatchTheNormalEquationsOfTheRoundedTable) {
  for (int64_t factors : {1, 17, 64, 100, 130, 200}) {
    const Csr rows = RandomCsr(BoundaryLengths(factors, 320), 320, 7 + factors, false);
    FixedTable fixed(context(), RandomMatrix(320, factors, factors, 0.3f));
    const Matrix unrounded = fixed.table.Clone();
    fixed.Round(context());
    EXPECT_NE(0, std::memcmp(unrounded.row(0), fixed.table.row(0), factors * sizeof(float)));
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    const auto errors = RelativeErrors(TestObjective(), fixed, rows.view(), solved.out);
    for (int64_t i = 0; i < rows.rows; ++i) {
      EXPECT_LT(errors[i], 2e-5) << "factors " << factors << " row of " << rows.view().row_size(i);
    }
  }
}

TEST_P(SolveRowsTest, RowsOfBfloat16InChunks) {
  const Csr rows = RandomCsr({5000, 3, 9000}, 9500, 31, true);
  FixedTable fixed(context(), RandomMatrix(9500, 40, 8, 0.3f));
  fixed.Round(context());
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  EXPECT_EQ(solved.report.retried_rows, 0);
  const auto errors = RelativeErrors(TestObjective(), fixed, rows.view(), solved.out);
  for (int64_t i = 0; i < rows.rows; ++i) {
    EXPECT_LT(errors[i], 2e-5) << i;
  }
}

TEST_P(SolveRowsTest, LargeSystems) {
  // Orders beyond what a lane (256) or a CUDA block's shared memory holds.
  for (int64_t factors : {192, 200, 300}) {
    const Csr rows =
        RandomCsr({350, 301, 300, 299, 290, 270, 193, 190, 161, 160, 10}, 400, 3, false);
    FixedTable fixed(context(), RandomMatrix(400, factors, 5, 0.1f));
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-5) << factors;
  }
}

TEST_P(SolveRowsTest, MoreFactorsThanABlockCopiesAtOnce) {
  // Lines of more than 512 factors take several turns of a CUDA block's threads.
  const Csr rows = RandomCsr({530, 7, 40}, 560, 3, false);
  FixedTable fixed(context(), RandomMatrix(560, 520, 5, 0.1f));
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  EXPECT_EQ(solved.report.retried_rows, 0);
  EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-5);
}

TEST_P(SolveRowsTest, GradientVanishesAtTheSolution) {
  const Csr rows = RandomCsr({3, 20, 90}, 150, 33, false);
  FixedTable fixed(context(), RandomMatrix(150, 24, 6, 0.3f));
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  const oracle::Table items = oracle::FromView(fixed.table.view());
  oracle::Table users = oracle::FromView(solved.out.view());
  const double step = 1e-4;
  const double base = oracle::AlsLoss(TestObjective(), users, items, rows.view());
  for (size_t u = 0; u < users.size(); ++u) {
    for (size_t k = 0; k < 24; k += 5) {
      const double x = users[u][k];
      users[u][k] = x + step;
      const double up = oracle::AlsLoss(TestObjective(), users, items, rows.view());
      users[u][k] = x - step;
      const double down = oracle::AlsLoss(TestObjective(), users, items, rows.view());
      users[u][k] = x;
      const double curvature = (up - 2 * base + down) / (step * step);
      EXPECT_LT(std::abs((up - down) / (2 * step)), 2e-4 * std::max(1.0, curvature));
    }
  }
}

PENCHANT_ON_ALL_DEVICES(SolveRowsTest);

}  // namespace
}  // namespace penchant
