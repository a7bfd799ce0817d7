#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "kernels/base/errors.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/csr.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

using testing::RandomCsr;
using testing::RandomMatrix;
using Row = std::vector<double>;

// ---- The oracle: a deterministic epoch of one portion, in double, by numeric derivatives -----

struct OracleTables {
  std::vector<Row> users, items;
  std::map<std::pair<char, int64_t>, double> squares, steps;
  std::map<std::pair<char, int64_t>, Row> means;
};

double DotOf(const Row& a, const Row& b) {
  double sum = 0;
  for (size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  return sum;
}

// A step's loss without the penalty, from the user's row and those of its positives and negatives.
double LossOf(const RankingObjective& o, int64_t num_items, const std::vector<double>& log_expected,
              const Row& user, const std::vector<Row>& positives,
              const std::vector<Row>& negatives) {
  const auto score = [&](const Row& row) {
    const double dot = DotOf(user, row);
    return o.loss == RankingLoss::kCcl ? dot / std::sqrt(DotOf(user, user) * DotOf(row, row)) : dot;
  };
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  const auto n = static_cast<double>(negatives.size());
  double loss = 0;
  for (size_t p = 0; p < positives.size(); ++p) {
    const double own = score(positives[p]);
    double sum = 0;
    switch (o.loss) {
      case RankingLoss::kBpr:
        for (const Row& row : negatives) sum += softplus(score(row) - own) / n;
        break;
      case RankingLoss::kLogistic:
        for (const Row& row : negatives) sum += o.negative_weight / n * softplus(score(row));
        sum += softplus(-own);
        break;
      case RankingLoss::kCcl:
        for (const Row& row : negatives) {
          sum += o.negative_weight / n * std::max(0.0, score(row) - o.margin);
        }
        sum += 1 - own;
        break;
      case RankingLoss::kSoftmax: {
        double total = std::exp(own);
        for (size_t j = 0; j < negatives.size(); ++j) {
          total += std::exp(score(negatives[j]) - log_expected[j]);
        }
        sum = std::log(total) - own;
        break;
      }
      case RankingLoss::kWarp:
        for (size_t t = 0; t < negatives.size(); ++t) {
          const Row& row =
              negatives[(p * negatives.size() / positives.size() + t) % negatives.size()];
          const double violation = 1 - own + score(row);
          if (violation <= 0) continue;
          const auto rank = static_cast<double>((num_items - 1) / static_cast<int64_t>(t + 1));
          sum = std::log(std::max(1.0, rank)) * violation;
          break;
        }
        break;
    }
    loss += sum;
  }
  return loss;
}

Row Derivative(Row* at, const std::function<double()>& loss) {
  Row result;
  for (double& x : *at) {
    const double here = x, step = 1e-6;
    x = here + step;
    const double up = loss();
    x = here - step;
    const double down = loss();
    x = here;
    result.push_back((up - down) / (2 * step));
  }
  return result;
}

void MoveBy(const RankingEpoch& e, char side, int64_t index, const Row& gradient, Row* row,
            OracleTables* tables) {
  const std::pair<char, int64_t> key{side, index};
  const double bias = e.objective.has_biases() ? gradient.back() : 0;
  const double square = (DotOf(gradient, gradient) - bias * bias) /
                        static_cast<double>(gradient.size() - (e.objective.has_biases() ? 1 : 0));
  Row direction = gradient;
  double rate = e.learning_rate;
  if (e.optimizer == Optimizer::kAdagrad) {
    rate /= std::sqrt(0.1 + (tables->squares[key] += square));
  } else if (e.optimizer == Optimizer::kAdam) {
    double& sum = tables->squares[key];
    sum = 0.999 * sum + 0.001 * square;
    const double t = ++tables->steps[key];
    Row& mean = tables->means[key];
    mean.resize(gradient.size());
    for (size_t k = 0; k < mean.size(); ++k) mean[k] = 0.9 * mean[k] + 0.1 * gradient[k];
    direction = mean;
    rate /= (1 - std::pow(0.9, t)) * (std::sqrt(sum / (1 - std::pow(0.999, t))) + 1e-8);
  }
  for (size_t k = 0; k < row->size(); ++k) (*row)[k] -= rate * direction[k];
  if (side == 'u' && e.objective.has_biases()) row->back() = 1;
  if (e.objective.has_biases()) return;
  const double length = std::sqrt(DotOf(*row, *row));
  for (double& x : *row) x /= length;
}

std::vector<int32_t> NegativesOf(const RankingEpoch& e, const CsrView& rows, int64_t user,
                                 int64_t position) {
  const auto items = rows.row_indices(user);
  const float* values = rows.row_values(user);
  std::vector<int32_t> found;
  for (int64_t k = 0; k < e.objective.negatives; ++k) {
    const int32_t item =
        DrawNegative(e.negatives, e.part, position, k, e.objective.negatives, [&](int32_t drawn) {
          const auto it = std::find(items.begin(), items.end(), drawn);
          return it != items.end() && (values == nullptr || values[it - items.begin()] > 0);
        });
    if (item >= 0) found.push_back(item);
  }
  return found;
}

// The loss, summed.
double OracleEpoch(const RankingEpoch& e, const CsrView& rows, OracleTables* tables) {
  double loss = 0;
  std::map<int64_t, std::pair<Row, int64_t>> pulls;
  const auto log_expected = [&](int32_t item) {
    const double share = e.negatives.log_shares != nullptr
                             ? std::exp(double{e.negatives.log_shares[item]})
                             : 1.0 / static_cast<double>(tables->items.size());
    return std::log(static_cast<double>(e.objective.negatives) * share);
  };
  for (int64_t u = 0; u < rows.rows; ++u) {
    std::vector<int64_t> positions;
    for (int64_t j = 0; j < rows.row_size(u); ++j) {
      if (rows.values == nullptr || rows.row_values(u)[j] > 0) {
        positions.push_back(rows.offsets[u] + j);
      }
    }
    for (size_t first = 0; first < positions.size(); first += e.objective.batch) {
      const size_t end = std::min(positions.size(), first + e.objective.batch);
      std::vector<int64_t> listed;
      std::vector<Row> positives, negatives;
      std::vector<double> expected;
      for (size_t p = first; p < end; ++p) {
        listed.push_back(rows.indices[positions[p]]);
        positives.push_back(tables->items[listed.back()]);
      }
      for (int32_t item : NegativesOf(e, rows, u, positions[first])) {
        listed.push_back(item);
        negatives.push_back(tables->items[item]);
        expected.push_back(log_expected(item));
      }
      if (negatives.empty()) continue;
      Row user = tables->users[u];
      const auto value = [&] {
        return LossOf(e.objective, static_cast<int64_t>(tables->items.size()), expected, user,
                      positives, negatives);
      };
      loss += value();
      for (size_t c = 0; c < listed.size(); ++c) {
        Row& row = c < positives.size() ? positives[c] : negatives[c - positives.size()];
        const Row pull = Derivative(&row, value);
        if (std::all_of(pull.begin(), pull.end(), [](double x) { return std::abs(x) < 1e-9; })) {
          continue;  // no part of the loss
        }
        auto& [sum, count] = pulls[listed[c]];
        sum.resize(pull.size());
        for (size_t k = 0; k < pull.size(); ++k) sum[k] += pull[k];
        ++count;
      }
      Row gradient = Derivative(&user, value);
      if (e.objective.has_biases()) {
        for (size_t k = 0; k < gradient.size(); ++k) {
          gradient[k] += e.objective.regularization * static_cast<double>(end - first) * user[k];
        }
      }
      MoveBy(e, 'u', u, gradient, &tables->users[u], tables);
    }
  }
  for (auto& [item, pull] : pulls) {
    Row& row = tables->items[item];
    if (e.objective.has_biases()) {
      for (size_t k = 0; k < row.size(); ++k) {
        pull.first[k] += e.objective.regularization * static_cast<double>(pull.second) * row[k];
      }
    }
    MoveBy(e, 'i', item, pull.first, &row, tables);
  }
  return loss;
}

// ---- The op --------------------------------------------------------------------------------

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
  if (!epoch.objective.has_biases()) {
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

void RankingTest::ExpectOracle(const CsrView& rows, const RankingEpoch& epoch,
                               const std::vector<double>& weights) {
  const Matrix users = Users(epoch.objective, 5, 19), items = Items(epoch.objective, 40, 19);
  const Trained got =
      RunEpochs(context(), epoch, rows, users.Clone(), items.Clone(), true, 2, weights);
  OracleTables wanted;
  const auto copy = [&](const Matrix& table) {
    std::vector<Row> copied;
    for (int64_t i = 0; i < table.rows(); ++i) {
      copied.emplace_back(table.row(i), table.row(i) + table.cols());
      if (epoch.objective.has_biases()) continue;
      const double length = std::sqrt(DotOf(copied.back(), copied.back()));
      for (double& x : copied.back()) x /= length;
    }
    return copied;
  };
  wanted.users = copy(users);
  wanted.items = copy(items);
  double oracle_loss = 0;
  Context host(1);
  const NegativeItems negatives(host, 40, weights);
  for (int e = 0; e < 2; ++e) {
    RankingEpoch with = epoch;
    with.part.epoch = e;
    with.negatives = negatives.table();
    oracle_loss = OracleEpoch(with, rows, &wanted);
  }
  const std::string what = "loss " + std::to_string(static_cast<int>(epoch.objective.loss)) +
                           " optimizer " + std::to_string(static_cast<int>(epoch.optimizer)) +
                           (weights.empty() ? "" : " by weight");
  EXPECT_NEAR(got.report.loss, oracle_loss, 1e-4 * std::abs(oracle_loss)) << what;
  for (int64_t i = 0; i < 40; ++i) {
    for (size_t k = 0; k < wanted.items[i].size(); ++k) {
      ASSERT_NEAR(got.items.row(i)[k], wanted.items[i][k], 2e-4) << what << " item " << i;
    }
  }
  for (int64_t u = 0; u < 5; ++u) {
    for (size_t k = 0; k < wanted.users[u].size(); ++k) {
      ASSERT_NEAR(got.users.row(u)[k], wanted.users[u][k], 2e-4) << what << " user " << u;
    }
  }
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
      epoch.negatives = {.num_items = 4000};
      const auto negatives = NegativesOf(epoch, rows.view(), 0, 0);
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

TEST(RankingObjectiveTest, NamesWhatIsOutsideItsDomain) {
  for (const auto& [change, name] :
       std::vector<std::pair<std::function<void(RankingObjective*)>, std::string>>{
           {[](RankingObjective* o) { o->regularization = -1; }, "regularization"},
           {[](RankingObjective* o) { o->negatives = 0; }, "negative_samples"},
           {[](RankingObjective* o) { o->batch = 0; }, "batch_size"},
           {[](RankingObjective* o) { o->margin = 1; }, "margin"},
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
