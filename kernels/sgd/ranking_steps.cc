#include "kernels/sgd/ranking_steps.h"

#include <cmath>

#include "kernels/base/isa.h"
#include "kernels/sgd/user_dropout.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(RankingStepKernels, RankingStepKernels)

RankingRule MakeRankingRule(const RankingObjective& objective, int64_t cols, int64_t num_items,
                            const float* log_shares) {
  RankingRule rule;
  rule.loss = objective.loss;
  rule.regularization = static_cast<float>(objective.regularization);
  rule.dropped_bytes = DroppedBytes(objective.dropout);
  rule.margin = static_cast<float>(objective.margin);
  rule.negative_weight = static_cast<float>(objective.negative_weight);
  rule.batch = objective.batch;
  rule.negatives = objective.negatives;
  rule.factors = cols - (objective.has_biases() ? 1 : 0);
  rule.bias_column = objective.has_biases() ? cols - 1 : -1;
  rule.num_items = num_items;
  rule.log_shares = log_shares;
  rule.log_expected =
      static_cast<float>(std::log(static_cast<double>(objective.negatives) /
                                  (log_shares == nullptr ? static_cast<double>(num_items) : 1.0)));
  return rule;
}

}  // namespace penchant
