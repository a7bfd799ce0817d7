#include "io/reader/history_fold_in.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/artifact/spread_order.h"
#include "io/reader/als_system.h"
#include "kernels/base/errors.h"
#include "kernels/sgd/ranking_steps.h"
#include "kernels/sgd/user_dropout.h"

namespace penchant {
namespace {

// Of ranking's steps: half the epochs of the trainer's fold-in, half as long again; lists are as
// good (tests/python/test_reader.py).
constexpr int kEpochs = 15;
constexpr double kLearningRate = 0.15;

bool IsLiked(float weight) { return weight > 0; }

// The system of a history and, a history item, the confidence of what it asks for.
struct AlsTerms {
  AlsSystem system;
  std::vector<double> pulls;  // c_j p_j
};

AlsTerms TermsOf(const AlsFoldInRule& rule, const History& history, std::span<const float> items,
                 int64_t num_items) {
  const AlsObjective& objective = rule.objective;
  const size_t n = history.items.size();
  const double lambda = objective.RowRegularization(static_cast<int64_t>(n), num_items);
  std::vector<double> weights(n), pulls(n), diagonal(rule.eigenvalues.size());
  for (size_t j = 0; j < n; ++j) {
    weights[j] = objective.alpha * std::abs(double{history.weights[j]});
    pulls[j] = IsLiked(history.weights[j]) ? objective.unobserved_weight + weights[j] : 0.0;
  }
  for (size_t k = 0; k < diagonal.size(); ++k) {
    diagonal[k] = objective.unobserved_weight * rule.eigenvalues[k] + lambda;
  }
  return {AlsSystem(items, weights, diagonal), std::move(pulls)};
}

}  // namespace

HistoryFoldIn::HistoryFoldIn(const Artifact& artifact)
    : artifact_(artifact), d_(artifact.factors()) {
  const auto* ranking = std::get_if<RankingFoldInRule>(&artifact.fold_in());
  if (ranking == nullptr) return;
  negatives_ = Matrix(static_cast<int64_t>(ranking->negatives.size()), d_);
  for (int64_t i = 0; i < negatives_.rows(); ++i) {
    artifact.item_factors().Row(ranking->negatives[static_cast<size_t>(i)], negatives_.row(i));
  }
}

std::vector<float> HistoryFoldIn::User(const History& history) const {
  if (const auto* als = std::get_if<AlsFoldInRule>(&artifact_.fold_in())) {
    return SolveAls(*als, history);
  }
  if (const auto* ranking = std::get_if<RankingFoldInRule>(&artifact_.fold_in())) {
    return StepRanking(*ranking, history);
  }
  if (std::holds_alternative<MeanFoldInRule>(artifact_.fold_in())) return Mean(history);
  return std::vector<float>(static_cast<size_t>(d_), 1.0f);
}

std::vector<float> HistoryFoldIn::Rows(const PackedTableView& table,
                                       std::span<const int64_t> rows) const {
  std::vector<float> out(rows.size() * static_cast<size_t>(d_));
  for (size_t j = 0; j < rows.size(); ++j) {
    table.Row(rows[j], out.data() + j * static_cast<size_t>(d_));
  }
  return out;
}

std::vector<float> HistoryFoldIn::SolveAls(const AlsFoldInRule& rule,
                                           const History& history) const {
  const std::vector<float> items = Rows(artifact_.item_factors(), history.items);
  const AlsTerms terms = TermsOf(rule, history, items, artifact_.num_items());
  std::vector<double> wanted(static_cast<size_t>(d_), 0.0);
  for (size_t j = 0; j < history.items.size(); ++j) {
    for (int64_t k = 0; k < d_; ++k) {
      wanted[k] += terms.pulls[j] * double{items[j * static_cast<size_t>(d_) + k]};
    }
  }
  const std::vector<double> x = terms.system.Solve(wanted);
  return {x.begin(), x.end()};
}

std::vector<float> HistoryFoldIn::StepRanking(const RankingFoldInRule& rule,
                                              const History& history) const {
  // Rows that steps walk: the history's liked items, then the negatives.
  std::vector<int64_t> liked;
  for (size_t j = 0; j < history.items.size(); ++j) {
    if (IsLiked(history.weights[j])) liked.push_back(history.items[j]);
  }
  const int64_t n = static_cast<int64_t>(liked.size()), sample = negatives_.rows();
  Matrix table(n + sample, d_);
  for (int64_t i = 0; i < n; ++i) artifact_.item_factors().Row(liked[i], table.row(i));
  for (int64_t i = 0; i < sample; ++i) {
    std::memcpy(table.row(n + i), negatives_.row(i), static_cast<size_t>(d_) * sizeof(float));
  }
  std::sort(liked.begin(), liked.end());
  std::vector<int32_t> negatives;  // those that are none of the liked
  for (int64_t i = 0; i < sample; ++i) {
    if (!std::binary_search(liked.begin(), liked.end(), int64_t{rule.negatives[i]})) {
      negatives.push_back(static_cast<int32_t>(n + i));
    }
  }

  RankingRule step = MakeRankingRule(rule.objective, d_, artifact_.num_items(), nullptr);
  step.optimizer = Optimizer::kAdagrad;
  step.move_items = false;
  Matrix user(1, d_);
  if (rule.objective.has_biases()) {
    user.row(0)[d_ - 1] = 1.0f;
  } else {  // on the sphere, in the direction of the mean
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t k = 0; k < d_; ++k) user.row(0)[k] += table.row(i)[k];
    }
    double square = 0;
    for (int64_t k = 0; k < d_; ++k) square += double{user.row(0)[k]} * double{user.row(0)[k]};
    for (int64_t k = 0; square > 0 && k < d_; ++k) {
      user.row(0)[k] /= static_cast<float>(std::sqrt(square));
    }
  }
  const std::vector<float> start(user.row(0), user.row(0) + d_);
  if (n == 0 || negatives.empty()) return start;

  float moment = 0;
  const std::vector<int64_t> order = SpreadOrder(n);
  std::vector<int32_t> positives(order.begin(), order.end());
  const int64_t steps = (n + step.batch - 1) / step.batch;
  std::vector<int32_t> drawn(static_cast<size_t>(steps * step.negatives));
  Buffer<float> scratch(RankingScratchFloats(step.rows_a_step(), table.stride()));
  Buffer<float> kept(step.dropped_bytes > 0 ? steps * table.stride() : 0);
  size_t next = 0;
  for (int epoch = 0; epoch < kEpochs; ++epoch) {
    step.learning_rate =
        static_cast<float>(kLearningRate * (1.0 - static_cast<double>(epoch) / kEpochs));
    for (int32_t& negative : drawn) {
      negative = negatives[next];
      next = (next + 1) % negatives.size();
    }
    RankingSteps walk;
    if (step.dropped_bytes > 0) {
      for (int64_t s = 0; s < steps; ++s) {
        WriteKept({.epoch = epoch}, s, step.dropped_bytes, table.stride(),
                  kept.data() + s * table.stride());
      }
      walk.kept = kept.data();
    }
    walk.user = user.row(0);
    walk.user_moments.squares = &moment;
    walk.items = table.row(0);
    walk.stride = table.stride();
    walk.positives = positives.data();
    walk.negatives = drawn.data();
    walk.count = n;
    walk.scratch = scratch.data();
    SelectedRankingStepKernels().run(step, &walk);
    PENCHANT_CHECK(walk.failed < 0, NumericError, "folding in: the loss is not finite");
    // The next epoch's steps take other items together.
    std::rotate(positives.begin(), positives.begin() + 1, positives.end());
  }
  return {user.row(0), user.row(0) + d_};
}

std::vector<float> HistoryFoldIn::Mean(const History& history) const {
  std::vector<double> sum(static_cast<size_t>(d_), 0.0);
  std::vector<float> row(static_cast<size_t>(d_));
  int64_t count = 0;
  for (size_t j = 0; j < history.items.size(); ++j) {
    if (!IsLiked(history.weights[j])) continue;
    artifact_.item_centers().Row(history.items[j], row.data());
    for (int64_t k = 0; k < d_; ++k) sum[k] += double{row[k]};
    ++count;
  }
  for (double& value : sum) value /= static_cast<double>(std::max<int64_t>(count, 1));
  return {sum.begin(), sum.end()};
}

std::vector<double> HistoryFoldIn::Explain(const History& history, int64_t item) const {
  std::vector<float> fixed(static_cast<size_t>(d_));
  artifact_.item_factors().Row(item, fixed.data());
  std::vector<double> direction(fixed.begin(), fixed.end());
  std::vector<double> shares(history.items.size());
  std::vector<float> rows;
  if (const auto* als = std::get_if<AlsFoldInRule>(&artifact_.fold_in())) {
    rows = Rows(artifact_.item_factors(), history.items);
    const AlsTerms terms = TermsOf(*als, history, rows, artifact_.num_items());
    direction = terms.system.Solve(direction);
    shares = terms.pulls;
  } else if (std::holds_alternative<MeanFoldInRule>(artifact_.fold_in())) {
    rows = Rows(artifact_.item_centers(), history.items);
    const auto liked = std::count_if(history.weights.begin(), history.weights.end(), IsLiked);
    for (size_t j = 0; j < shares.size(); ++j) {
      shares[j] = IsLiked(history.weights[j]) ? 1.0 / static_cast<double>(liked) : 0.0;
    }
  } else {
    throw InvalidArgument("the scores of a model of algorithm " + artifact_.algorithm() +
                          " are no sums over the history; als and item2vec explain");
  }
  for (size_t j = 0; j < shares.size(); ++j) {
    double dot = 0;
    for (int64_t k = 0; k < d_; ++k) {
      dot += double{rows[j * static_cast<size_t>(d_) + static_cast<size_t>(k)]} * direction[k];
    }
    shares[j] *= dot;
  }
  return shares;
}

}  // namespace penchant
