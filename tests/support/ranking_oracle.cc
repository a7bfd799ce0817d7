#include "tests/support/ranking_oracle.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/sgd/user_dropout.h"

namespace penchant::oracle {
namespace {

using Row = std::vector<double>;

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
            RankingState* tables) {
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
  if (e.objective.loss != RankingLoss::kCcl) return;
  const double length = std::sqrt(DotOf(*row, *row));
  for (double& x : *row) x /= length;
}

}  // namespace

std::vector<int32_t> RankingNegatives(const RankingEpoch& e, const RankingUser& user,
                                      int64_t position) {
  std::vector<int32_t> found;
  for (int64_t k = 0; k < e.objective.negatives; ++k) {
    const int32_t item =
        DrawNegative(e.negatives, e.part, position, k, e.objective.negatives, user.rejects);
    if (item >= 0) found.push_back(item);
  }
  return found;
}

double RankingInTurn(const RankingEpoch& e, const std::vector<RankingUser>& users,
                     RankingState* tables) {
  double loss = 0;
  std::map<int64_t, std::pair<Row, int64_t>> pulls;
  const auto log_expected = [&](int32_t item) {
    const double share = e.negatives.log_shares != nullptr
                             ? std::exp(double{e.negatives.log_shares[item]})
                             : 1.0 / static_cast<double>(tables->items.size());
    return std::log(static_cast<double>(e.objective.negatives) * share);
  };
  for (size_t u = 0; u < users.size(); ++u) {
    const std::vector<Positive>& all = users[u].positives;
    for (size_t first = 0; first < all.size(); first += e.objective.batch) {
      const size_t end = std::min(all.size(), first + e.objective.batch);
      std::vector<int64_t> listed;
      std::vector<Row> positives, negatives;
      std::vector<double> expected;
      for (size_t p = first; p < end; ++p) {
        listed.push_back(all[p].item);
        positives.push_back(tables->items[listed.back()]);
      }
      for (int32_t item : RankingNegatives(e, users[u], all[first].position)) {
        listed.push_back(item);
        negatives.push_back(tables->items[item]);
        expected.push_back(log_expected(item));
      }
      if (negatives.empty()) continue;
      Row user = tables->users[u];
      const uint32_t dropped = DroppedBytes(e.objective.dropout);
      const auto value = [&] {
        Row seen = user;
        for (size_t k = 0; k < seen.size() && dropped > 0; ++k) {
          if (!KeepsElement(e.part, all[first].position, static_cast<int64_t>(k), dropped)) {
            seen[k] = 0;
          }
        }
        return LossOf(e.objective, static_cast<int64_t>(tables->items.size()), expected, seen,
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
      if (e.objective.loss != RankingLoss::kCcl) {
        for (size_t k = 0; k < gradient.size(); ++k) {
          gradient[k] += e.objective.regularization * static_cast<double>(end - first) * user[k];
        }
      }
      MoveBy(e, 'u', static_cast<int64_t>(u), gradient, &tables->users[u], tables);
    }
  }
  for (auto& [item, pull] : pulls) {
    Row& row = tables->items[item];
    if (e.objective.loss != RankingLoss::kCcl) {
      for (size_t k = 0; k < row.size(); ++k) {
        pull.first[k] += e.objective.regularization * static_cast<double>(pull.second) * row[k];
      }
    }
    MoveBy(e, 'i', item, pull.first, &row, tables);
  }
  return loss;
}

void ExpectNear(const Matrix& got, const std::vector<Row>& wanted, double tolerance,
                const std::string& what) {
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (size_t k = 0; k < wanted[i].size(); ++k) {
      ASSERT_NEAR(got.row(static_cast<int64_t>(i))[k], wanted[i][k], tolerance) << what << " " << i;
    }
  }
}

std::vector<Row> RankingRows(const RankingEpoch& epoch, const Matrix& table) {
  std::vector<Row> rows;
  for (int64_t i = 0; i < table.rows(); ++i) {
    rows.emplace_back(table.row(i), table.row(i) + table.cols());
    if (epoch.objective.loss != RankingLoss::kCcl) continue;
    const double length = std::sqrt(DotOf(rows.back(), rows.back()));
    for (double& x : rows.back()) x /= length;
  }
  return rows;
}

}  // namespace penchant::oracle
