#include <gtest/gtest.h>

#include <numeric>
#include <utility>
#include <vector>

#include "tests/support/devices.h"
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

// Rows of at most 16 observations, which a CUDA warp solves two at a time.
class SolveRowsInPairsTest : public testing::DeviceTest {};

// Of the longest of a pair, and of its partner, around the groups of eight that are gathered
// together; a last row without a partner.
const std::vector<int64_t> kLengths = {16, 16, 15, 12, 9, 8, 8, 8, 7, 4, 3, 2, 1, 1, 1};

TEST_P(SolveRowsInPairsTest, MatchTheNormalEquationsForAnyNumberOfChunks) {
  // Up to 64 factors are kept until the row is written, more are gathered again.
  for (int64_t factors : {16, 20, 32, 33, 64, 65, 96, 100, 128, 160}) {
    for (bool unit : {true, false}) {
      for (int64_t empty : {0, 1, 2}) {
        std::vector<int64_t> lengths = kLengths;
        lengths.resize(lengths.size() + empty);
        const Csr rows = RandomCsr(lengths, 90, 3 + factors, unit);
        FixedTable fixed(context(), RandomMatrix(90, factors, factors, 0.3f));
        const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
        EXPECT_EQ(solved.report.retried_rows, 0);
        EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-5)
            << factors << " factors, " << empty << " empty rows";
      }
    }
  }
}

TEST_P(SolveRowsInPairsTest, OfBfloat16) {
  for (int64_t factors : {16, 64, 96}) {
    const Csr rows = RandomCsr(kLengths, 90, 3 + factors, false);
    FixedTable fixed(context(), RandomMatrix(90, factors, factors, 0.3f));
    fixed.Round(context());
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 0);
    EXPECT_LT(WorstError(TestObjective(), fixed, rows.view(), solved.out), 2e-5) << factors;
  }
}

TEST_P(SolveRowsInPairsTest, NothingButEmptyRows) {
  const Csr rows = RandomCsr({0, 0, 0}, 30, 1, true);
  FixedTable fixed(context(), RandomMatrix(30, 24, 1, 0.3f));
  const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
  EXPECT_EQ(solved.report.retried_rows, 0);
  EXPECT_EQ(WorstError(TestObjective(), fixed, rows.view(), solved.out), 0.0);
}

TEST_P(SolveRowsInPairsTest, ARowThatFailsLeavesItsPartnerAlone) {
  // As in SolveRowsLimitsTest: float32 cannot tell items 7 and 8 apart.
  Matrix items = RandomMatrix(60, 16, 12, 0.3f);
  for (int64_t k = 0; k < 16; ++k) items.row(8)[k] = items.row(7)[k];
  FixedTable fixed(context(), std::move(items));
  for (int64_t bad : {0, 1, 2}) {  // first, second and without a partner
    Csr rows = RandomCsr({4, 4, 4}, 60, 17, true);
    rows.values.assign(rows.indices.size(), 1.0f);
    int32_t* ids = rows.indices.data() + 4 * bad;
    std::iota(ids, ids + 4, 7);
    rows.values[4 * bad] = rows.values[4 * bad + 1] = 1e12f;
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    EXPECT_EQ(solved.report.retried_rows, 1);
    EXPECT_EQ(solved.report.first_retried_row, bad);
    const auto errors = RelativeErrors(TestObjective(), fixed, rows.view(), solved.out);
    for (int64_t i = 0; i < 3; ++i) EXPECT_LT(errors[i], i == bad ? 2e-3 : 2e-5) << i;
  }
}

PENCHANT_ON_ALL_DEVICES(SolveRowsInPairsTest);

}  // namespace
}  // namespace penchant
