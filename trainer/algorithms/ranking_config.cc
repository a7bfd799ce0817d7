#include "trainer/algorithms/ranking_config.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <string>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

// What the loss and the data decide by default: chosen on Gowalla, MovieLens-100K and Online
// Retail, sparse to dense; bench/ranking.py shows what they reach.
struct LossDefaults {
  RankingLoss loss;
  int epochs;
  double learning_rate;
  // The penalty is this times (mean interactions of a user)^power.
  double regularization;
  double regularization_power;
  int batch;
  int negatives;
};
constexpr LossDefaults kLosses[] = {
    {RankingLoss::kBpr, 180, 0.3, 1.3e-6, 2, 4, 32},
    {RankingLoss::kWarp, 40, 0.04, 0.003, 1, 8, 200},
    {RankingLoss::kLogistic, 60, 0.3, 0.0005, 1, 16, 200},
    {RankingLoss::kCcl, 60, 0.4, 0, 0, 8, 1000},
    {RankingLoss::kSoftmax, 60, 0.1, 0.0005, 1, 4, 100},
};
constexpr double kLogisticNegativeWeight = 20.0;
constexpr double kCclNegativeWeight = 1.5;  // times sqrt(items)
constexpr double kCclDropout = 0.1;
constexpr double kMargin = 0.9;

const LossDefaults& DefaultsOf(const config::RankingConfig& config) {
  const RankingLoss loss = ParseRankingLoss(config.loss().c_str());
  return *std::find_if(std::begin(kLosses), std::end(kLosses),
                       [loss](const LossDefaults& entry) { return entry.loss == loss; });
}

}  // namespace

void ResolveRanking(const Interactions& interactions, config::TrainConfig* config) {
  config::RankingConfig* ranking = config->mutable_ranking();
  const LossDefaults& defaults = DefaultsOf(*ranking);
  ranking->set_loss(RankingLossName(defaults.loss));
  if (!ranking->has_epochs()) ranking->set_epochs(defaults.epochs);
  if (!ranking->has_learning_rate()) ranking->set_learning_rate(defaults.learning_rate);
  if (!ranking->has_regularization()) {
    const double mean =
        static_cast<double>(interactions.nnz()) / static_cast<double>(interactions.num_users());
    ranking->set_regularization(defaults.regularization *
                                std::pow(mean, defaults.regularization_power));
  }
  if (!ranking->has_batch_size()) ranking->set_batch_size(defaults.batch);
  if (!ranking->has_negative_samples()) ranking->set_negative_samples(defaults.negatives);
  if (defaults.loss == RankingLoss::kLogistic && !ranking->has_negative_weight()) {
    ranking->set_negative_weight(kLogisticNegativeWeight);
  }
  if (defaults.loss != RankingLoss::kCcl) return;
  if (!ranking->has_margin()) ranking->set_margin(kMargin);
  if (!ranking->has_dropout()) ranking->set_dropout(kCclDropout);
  if (!ranking->has_negative_weight()) {
    ranking->set_negative_weight(kCclNegativeWeight *
                                 std::sqrt(static_cast<double>(interactions.num_items())));
  }
}

RankingObjective ObjectiveOf(const config::RankingConfig& config) {
  const LossDefaults& defaults = DefaultsOf(config);
  RankingObjective objective;
  objective.loss = defaults.loss;
  if (config.has_regularization()) objective.regularization = config.regularization();
  objective.batch = config.has_batch_size() ? config.batch_size() : defaults.batch;
  objective.negatives =
      config.has_negative_samples() ? config.negative_samples() : defaults.negatives;
  if (config.has_margin()) objective.margin = config.margin();
  if (config.has_dropout()) objective.dropout = config.dropout();
  if (config.has_negative_weight()) objective.negative_weight = config.negative_weight();
  objective.Validate();
  return objective;
}

Optimizer OptimizerOf(const config::RankingConfig& config) {
  const std::string& name = config.optimizer();
  if (name == "sgd") return Optimizer::kSgd;
  if (name == "adagrad") return Optimizer::kAdagrad;
  if (name == "adam") return Optimizer::kAdam;
  throw InvalidArgument("optimizer must be \"sgd\", \"adagrad\" or \"adam\"; got \"" + name + "\"");
}

}  // namespace penchant
