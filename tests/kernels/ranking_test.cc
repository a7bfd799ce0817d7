#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "kernels/base/errors.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sgd/user_dropout.h"
#include "kernels/sparse/csr.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"
#include "tests/support/ranking_oracle.h"

namespace penchant {
namespace {

using testing::RandomCsr;
using testing::RandomMatrix;
class RankingTest : public testing::DeviceTest {
 protected:
  static Matrix Users(const RankingObjective& o, int64_t rows, int64_t factors) {
    Matrix users = RandomMatrix(rows, factors + (o.has_biases() ? 1 : 0), 3, 0.4f);
    for (int64_t u = 0; u < rows && o.has_biases(); ++u) users.row(u)[factors] = 1.0f;
    return users;
  }
  static Matrix Items(const RankingObjective& o, int64_t rows, int64_t factors) {
    return RandomMatrix(rows, factors + (o.has_biases() ? 1 : 0), 4, 0.4f);
  }
  // Two epochs are held to the oracle's, with negatives drawn by weight.
  void ExpectOracle(const CsrView& rows, const RankingEpoch& epoch,
                    const std::vector<double>& weights);
};

struct Trained {
  Matrix users, items;
  EpochReport report;
};

// Runs epochs on a context, from the same start.
Trained RunEpochs(Context& context, RankingEpoch epoch, const CsrView& host, Matrix users,
                  Matrix items, bool deterministic, int epochs,
                  std::span<const double> weights = {}) {
  const DeviceCsr rows(context, host);
  DeviceMatrix user_table(context, std::move(users)), item_table(context, std::move(items));
  if (epoch.objective.loss == RankingLoss::kCcl) {
    NormalizeRows(context, user_table.view());
    NormalizeRows(context, item_table.view());
  }
  const auto moments = [&](const DeviceMatrix& table) {
    return std::tuple(DeviceBuffer<float>(context, table.rows()),
                      DeviceBuffer<float>(context, table.rows()),
                      DeviceMatrix(context, table.rows(), table.cols()));
  };
  auto user_state = moments(user_table), item_state = moments(item_table);
  const auto view = [](auto& state) {
    return RowMoments{std::get<0>(state).data(), std::get<1>(state).data(),
                      std::get<2>(state).view().data};
  };
  const NegativeItems negatives(context, host.cols, weights);
  epoch.negatives = negatives.table();
  Trained result;
  for (int e = 0; e < epochs; ++e) {
    epoch.part.epoch = e;
    const EpochOrder order(context, CsrPositives{host, !epoch.move_items}, epoch.part,
                           epoch.objective.batch, deterministic);
    const auto report =
        RunRankingEpoch(context, epoch, order, CsrPositives{rows.view(), !epoch.move_items},
                        {user_table.view(), item_table.view(), view(user_state), view(item_state)});
    context.Synchronize();
    result.report = *report;
  }
  result.users = user_table.Release(context);
  result.items = item_table.Release(context);
  return result;
}

const RankingLoss kAllLosses[] = {RankingLoss::kBpr, RankingLoss::kWarp, RankingLoss::kLogistic,
                                  RankingLoss::kCcl, RankingLoss::kSoftmax};

RankingEpoch EpochWith(RankingLoss loss, Optimizer optimizer) {
  RankingEpoch epoch;
  epoch.objective = {loss, 0.02, 3, 5, 0.1, 2.5};
  epoch.optimizer = optimizer;
  epoch.learning_rate = 0.05;
  epoch.part.seed = 11;
  return epoch;
}

// The positives of a matrix, listed without the product's help.
std::vector<oracle::RankingUser> UsersOf(const CsrView& rows) {
  std::vector<oracle::RankingUser> users;
  for (int64_t u = 0; u < rows.rows; ++u) {
    oracle::RankingUser user;
    std::set<int32_t> liked;
    for (int64_t j = rows.offsets[u]; j < rows.offsets[u + 1]; ++j) {
      if (rows.values != nullptr && rows.values[j] <= 0) continue;
      user.positives.push_back({rows.indices[j], j});
      liked.insert(rows.indices[j]);
    }
    user.rejects = [liked](int32_t item) { return liked.contains(item); };
    users.push_back(std::move(user));
  }
  return users;
}

void RankingTest::ExpectOracle(const CsrView& rows, const RankingEpoch& epoch,
                               const std::vector<double>& weights) {
  const Matrix users = Users(epoch.objective, 5, 19), items = Items(epoch.objective, 40, 19);
  const Trained got =
      RunEpochs(context(), epoch, rows, users.Clone(), items.Clone(), true, 2, weights);
  oracle::RankingState wanted{oracle::RankingRows(epoch, users), oracle::RankingRows(epoch, items)};
  double oracle_loss = 0;
  Context host(1);
  const NegativeItems negatives(host, 40, weights);
  for (int e = 0; e < 2; ++e) {
    RankingEpoch with = epoch;
    with.part.epoch = e;
    with.negatives = negatives.table();
    oracle_loss = oracle::RankingInTurn(with, UsersOf(rows), &wanted);
  }
  const std::string what = "loss " + std::to_string(static_cast<int>(epoch.objective.loss)) +
                           " optimizer " + std::to_string(static_cast<int>(epoch.optimizer)) +
                           (weights.empty() ? "" : " by weight");
  EXPECT_NEAR(got.report.loss, oracle_loss, 1e-4 * std::abs(oracle_loss)) << what;
  oracle::ExpectNear(got.users, wanted.users, 2e-4, what + " user");
  oracle::ExpectNear(got.items, wanted.items, 2e-4, what + " item");
}

TEST_P(RankingTest, EveryLossAndOptimizerFollowsItsNumericDerivative) {
  const Csr rows = RandomCsr({4, 0, 7, 1, 12}, 40, 2, false);  // some are dislikes
  std::vector<double> by_weight(40);
  for (size_t i = 0; i < by_weight.size(); ++i) by_weight[i] = static_cast<double>(1 + i % 7);
  for (RankingLoss loss : kAllLosses) {
    for (Optimizer optimizer : {Optimizer::kSgd, Optimizer::kAdagrad, Optimizer::kAdam}) {
      ExpectOracle(rows.view(), EpochWith(loss, optimizer), {});
    }
    ExpectOracle(rows.view(), EpochWith(loss, Optimizer::kAdagrad), by_weight);
    if (loss == RankingLoss::kCcl) {
      for (Optimizer optimizer : {Optimizer::kSgd, Optimizer::kAdagrad, Optimizer::kAdam}) {
        RankingEpoch dropping = EpochWith(loss, optimizer);
        dropping.objective.dropout = 0.3;
        ExpectOracle(rows.view(), dropping, {});
      }
    }
    RankingEpoch without_biases = EpochWith(loss, Optimizer::kAdagrad);
    without_biases.objective.biases = false;
    ExpectOracle(rows.view(), without_biases, {});
  }
}

// With one step of one user, distinct rows and no penalty, items pulled one by one move as those
// moved at once: so the numeric derivative above speaks for both.
TEST_P(RankingTest, ItemsPulledOneByOneMoveAsThoseMovedAtOnce) {
  const Csr rows = RandomCsr({3}, 4000, 2, true);
  for (RankingLoss loss : kAllLosses) {
    for (Optimizer optimizer : {Optimizer::kSgd, Optimizer::kAdagrad, Optimizer::kAdam}) {
      RankingEpoch epoch = EpochWith(loss, optimizer);
      epoch.objective.regularization = 0;
      if (loss == RankingLoss::kCcl) epoch.objective.dropout = 0.3;
      epoch.negatives = {.num_items = 4000};
      const auto negatives = oracle::RankingNegatives(epoch, UsersOf(rows.view())[0], 0);
      ASSERT_EQ(std::set(negatives.begin(), negatives.end()).size(), 5u);
      const auto run = [&](bool deterministic) {
        return RunEpochs(context(), epoch, rows.view(), Users(epoch.objective, 1, 19),
                         Items(epoch.objective, 4000, 19), deterministic, 1);
      };
      const Trained at_once = run(true), one_by_one = run(false);
      for (int64_t k = 0; k < at_once.users.cols(); ++k) {
        ASSERT_NEAR(one_by_one.users.row(0)[k], at_once.users.row(0)[k], 1e-5);
        for (int64_t i = 0; i < 4000; ++i) {
          ASSERT_NEAR(one_by_one.items.row(i)[k], at_once.items.row(i)[k], 1e-5)
              << "loss " << static_cast<int>(loss) << " optimizer " << static_cast<int>(optimizer)
              << " item " << i;
        }
      }
    }
  }
}

TEST_P(RankingTest, MoreNegativesThanFourWarpsOfABlockHold) {
  const Csr rows = RandomCsr({9, 0, 4}, 40, 2, false);
  RankingEpoch epoch = EpochWith(RankingLoss::kCcl, Optimizer::kAdagrad);
  epoch.objective.negatives = 5000;
  Context host(1);
  const auto run = [&](Context& where) {
    return RunEpochs(where, epoch, rows.view(), Users(epoch.objective, 3, 16),
                     Items(epoch.objective, 40, 16), true, 1);
  };
  const Trained got = run(context()), wanted = run(host);
  EXPECT_NEAR(got.report.loss, wanted.report.loss, 1e-4 * wanted.report.loss);
  for (int64_t i = 0; i < 40; ++i) {
    for (int64_t k = 0; k < 16; ++k) {
      ASSERT_NEAR(got.items.row(i)[k], wanted.items.row(i)[k], 1e-4) << "item " << i;
    }
  }
}

TEST_P(RankingTest, PartsOfAnEpochVisitEveryPositiveOnce) {
  const Csr rows = RandomCsr(std::vector<int64_t>(40, 9), 60, 2, false);
  int64_t positives = 0;
  for (float value : rows.values) positives += value > 0;
  for (bool deterministic : {true, false}) {
    int64_t visited = 0;
    for (int32_t part = 0; part < 3; ++part) {
      RankingEpoch epoch = EpochWith(RankingLoss::kBpr, Optimizer::kSgd);
      epoch.part.part = part;
      epoch.part.parts = 3;
      const Trained got = RunEpochs(context(), epoch, rows.view(), Users(epoch.objective, 40, 8),
                                    Items(epoch.objective, 60, 8), deterministic, 1);
      EXPECT_NEAR(got.report.positives, positives / 3.0, positives / 10.0);
      visited += got.report.positives;
    }
    EXPECT_EQ(visited, positives);
  }
}

TEST_P(RankingTest, UnorderedEpochsLearnToo) {
  const Csr rows = RandomCsr(std::vector<int64_t>(60, 8), 50, 2, true);
  for (RankingLoss loss : kAllLosses) {
    const RankingEpoch epoch = EpochWith(loss, Optimizer::kAdagrad);
    const auto run = [&](int epochs) {
      return RunEpochs(context(), epoch, rows.view(), Users(epoch.objective, 60, 16),
                       Items(epoch.objective, 50, 16), false, epochs);
    };
    const Trained once = run(1), often = run(12);
    EXPECT_EQ(once.report.positives, 480);
    EXPECT_LT(often.report.loss, 0.8 * once.report.loss) << static_cast<int>(loss);
    EXPECT_EQ(often.report.failed, -1);
  }
}

TEST_P(RankingTest, ManyPortionsGiveTheSameBitsForAnyThreads) {
  const Csr rows = RandomCsr(std::vector<int64_t>(300, 13), 120, 2, true);
  RankingEpoch epoch = EpochWith(RankingLoss::kSoftmax, Optimizer::kAdam);
  epoch.objective.batch = 2;
  const auto run = [&](int threads) {
    const auto where = MakeContext(threads);
    return RunEpochs(*where, epoch, rows.view(), Users(epoch.objective, 300, 8),
                     Items(epoch.objective, 120, 8), true, 1);
  };
  const Trained one = run(1), three = run(3);
  for (int64_t i = 0; i < 120; ++i) {
    ASSERT_EQ(0, std::memcmp(one.items.row(i), three.items.row(i), 9 * sizeof(float)));
  }
  EXPECT_EQ(one.report.loss, three.report.loss);
}

TEST_P(RankingTest, DivergenceIsReportedAtItsPosition) {
  const Csr rows = RandomCsr({5, 5}, 20, 2, true);
  const RankingEpoch epoch = EpochWith(RankingLoss::kBpr, Optimizer::kSgd);
  Matrix users = Users(epoch.objective, 2, 8);
  users.row(1)[2] = NAN;
  const Trained got = RunEpochs(context(), epoch, rows.view(), std::move(users),
                                Items(epoch.objective, 20, 8), false, 1);
  EXPECT_EQ(got.report.failed, rows.offsets[1]);
}

TEST_P(RankingTest, FoldedRowsDoNotDependOnThoseBesideThem) {
  const Csr two = RandomCsr({6, 9}, 30, 2, true);
  Csr second;
  second.rows = 1;
  second.cols = 30;
  second.offsets = {0, 9};
  second.indices.assign(two.indices.begin() + 6, two.indices.end());
  RankingEpoch epoch = EpochWith(RankingLoss::kLogistic, Optimizer::kAdagrad);
  epoch.move_items = false;
  const Matrix users(2, 9), one(1, 9);
  const Matrix items = Items(epoch.objective, 30, 8);
  const Trained both =
      RunEpochs(context(), epoch, two.view(), users.Clone(), items.Clone(), false, 3);
  const Trained alone =
      RunEpochs(context(), epoch, second.view(), one.Clone(), items.Clone(), false, 3);
  EXPECT_EQ(0, std::memcmp(both.users.row(1), alone.users.row(0), 9 * sizeof(float)));
  EXPECT_EQ(0, std::memcmp(both.items.row(0), items.row(0), 9 * sizeof(float)));
}

PENCHANT_ON_ALL_DEVICES(RankingTest);

TEST(NegativesTest, AreDrawnByWeightAndAreNeverPositives) {
  Context context(1);
  const std::vector<double> weights = {1, 0, 3, 4, 2};
  const NegativeItems weighted(context, 5, weights);
  const NegativeItems uniform(context, 5, {});
  const int64_t draws = 200000;
  std::vector<double> seen(5), even(5);
  for (int64_t p = 0; p < draws; ++p) {
    ++seen[DrawItem(weighted.table(), {.seed = 7}, p, 0)];
    ++even[DrawItem(uniform.table(), {.seed = 7}, p, 1)];
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_NEAR(seen[i] / draws, weights[i] / 10, 0.005);
    EXPECT_NEAR(even[i] / draws, 0.2, 0.005);
  }
  EXPECT_EQ(seen[1], 0);
  for (int64_t p = 0; p < 1000; ++p) {
    const int32_t item =
        DrawNegative(uniform.table(), {.seed = 7}, p, 0, 1, [](int32_t i) { return i < 4; });
    EXPECT_TRUE(item == 4 || item == -1);
  }
  EXPECT_EQ(DrawNegative(uniform.table(), {.seed = 7}, 0, 0, 1, [](int32_t) { return true; }), -1);
}

TEST(UserDropoutTest, DropsItsShareAnewEachTime) {
  int64_t dropped = 0, alike = 0;
  const int64_t steps = 2000, factors = 70;
  for (int64_t position = 0; position < steps; ++position) {
    for (int64_t k = 0; k < factors; ++k) {
      const bool kept = KeepsElement({.seed = 5}, position, k, DroppedBytes(0.25));
      dropped += !kept;
      alike += kept == KeepsElement({.seed = 5, .epoch = 1}, position, k, DroppedBytes(0.25));
      EXPECT_TRUE(KeepsElement({.seed = 5}, position, k, DroppedBytes(0.0)));
    }
  }
  const auto all = static_cast<double>(steps * factors);
  EXPECT_NEAR(static_cast<double>(dropped) / all, 0.25, 0.01);
  EXPECT_NEAR(static_cast<double>(alike) / all, 0.75 * 0.75 + 0.25 * 0.25, 0.01);
}

TEST(RankingObjectiveTest, NamesWhatIsOutsideItsDomain) {
  for (const auto& [change, name] :
       std::vector<std::pair<std::function<void(RankingObjective*)>, std::string>>{
           {[](RankingObjective* o) { o->regularization = -1; }, "regularization"},
           {[](RankingObjective* o) { o->negatives = 0; }, "negative_samples"},
           {[](RankingObjective* o) { o->batch = 0; }, "batch_size"},
           {[](RankingObjective* o) { o->margin = 1; }, "margin"},
           {[](RankingObjective* o) { o->dropout = 0.95; }, "dropout"},
           {[](RankingObjective* o) { o->dropout = 0.1; }, "loss \"ccl\" alone"},
           {[](RankingObjective* o) { o->negative_weight = NAN; }, "negative_weight"}}) {
    RankingObjective objective;
    change(&objective);
    try {
      objective.Validate();
      ADD_FAILURE() << name;
    } catch (const InvalidArgument& error) {
      EXPECT_NE(std::string(error.what()).find(name), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace penchant
