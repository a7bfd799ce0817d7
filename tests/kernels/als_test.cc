#include <gtest/gtest.h>

#include <cmath>

#include "kernels/als/explain.h"
#include "kernels/als/loss.h"
#include "kernels/als/solve_rows.h"
#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/oracles.h"
#include "tests/support/random_data.h"
#include "tests/support/row_solver.h"

namespace penchant {
namespace {

using testing::FixedTable;
using testing::RandomCsr;
using testing::RandomMatrix;
using testing::Solve;
using testing::Solved;
using testing::TestObjective;

class AlsTest : public testing::DeviceTest {};

TEST_P(AlsTest, LossMatchesTheSumOverAllCells) {
  const Csr rows = RandomCsr({3, 0, 20, 60}, 80, 3, false);
  const Csr columns = Transpose(rows.view());
  const Matrix users = RandomMatrix(4, 9, 1, 0.4f), items = RandomMatrix(80, 9, 2, 0.4f);
  const DeviceMatrix user_table(context(), users.view()), item_table(context(), items.view());
  const auto loss = [&](int64_t block_bytes) {
    return AlsLoss(context(), TestObjective(), user_table.view(), item_table.view(),
                   CsrBlocks(context(), rows.view(), block_bytes),
                   CsrBlocks(context(), columns.view(), block_bytes));
  };
  const double got = loss(0);
  const double wanted = oracle::AlsLoss(TestObjective(), oracle::FromView(users.view()),
                                        oracle::FromView(items.view()), rows.view());
  EXPECT_NEAR(got, wanted, 1e-5 * wanted);
  EXPECT_EQ(loss(200), got);  // the same sums when the rows come in blocks
}

TEST_P(AlsTest, ExplainPartsSumToTheScore) {
  for (int64_t n : {4, 70}) {
    const Csr rows = RandomCsr({n}, 100, 5, false);
    FixedTable fixed(context(), RandomMatrix(100, 32, 8, 0.3f));
    const Solved solved = Solve(context(), TestObjective(), fixed, rows.view());
    for (int32_t item : {0, 55}) {
      const auto parts = ExplainScore(TestObjective(), fixed.on_host(), rows.view(), item);
      double sum = 0, score = 0;
      for (double part : parts) sum += part;
      for (int64_t k = 0; k < 32; ++k) {
        score += double{solved.out.row(0)[k]} * double{fixed.table.row(item)[k]};
      }
      EXPECT_NEAR(sum, score, 1e-5);
    }
  }
}

PENCHANT_ON_ALL_DEVICES(AlsTest);

TEST(AlsObjectiveTest, RefusesParametersOutsideTheirDomain) {
  for (auto spoil :
       {+[](AlsObjective* o) { o->alpha = 0; }, +[](AlsObjective* o) { o->unobserved_weight = -1; },
        +[](AlsObjective* o) { o->regularization = 0; },
        +[](AlsObjective* o) { o->regularization_power = std::nan(""); }}) {
    AlsObjective objective;
    spoil(&objective);
    EXPECT_THROW(objective.Validate(), InvalidArgument);
  }
}

}  // namespace
}  // namespace penchant
