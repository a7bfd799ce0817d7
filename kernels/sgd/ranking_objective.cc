#include "kernels/sgd/ranking_objective.h"

#include <cmath>
#include <cstring>
#include <string>

#include "kernels/base/errors.h"

namespace penchant {

const char* RankingLossName(RankingLoss loss) {
  switch (loss) {
    case RankingLoss::kBpr:
      return "bpr";
    case RankingLoss::kWarp:
      return "warp";
    case RankingLoss::kLogistic:
      return "logistic";
    case RankingLoss::kCcl:
      return "ccl";
    case RankingLoss::kSoftmax:
      return "softmax";
  }
  return "unknown";
}

RankingLoss ParseRankingLoss(const char* name) {
  for (RankingLoss loss : {RankingLoss::kBpr, RankingLoss::kWarp, RankingLoss::kLogistic,
                           RankingLoss::kCcl, RankingLoss::kSoftmax}) {
    if (std::strcmp(name, RankingLossName(loss)) == 0) return loss;
  }
  throw InvalidArgument(
      "loss must be \"bpr\", \"warp\", \"logistic\", \"ccl\" or \"softmax\"; got \"" +
      std::string(name) + "\"");
}

void RankingObjective::Validate() const {
  PENCHANT_REQUIRE(regularization >= 0 && std::isfinite(regularization),
                   "regularization must be >= 0; got ", regularization);
  PENCHANT_REQUIRE(batch >= 1 && batch <= 65536, "batch_size must be in [1, 65536]; got ", batch);
  PENCHANT_REQUIRE(negatives >= 1 && negatives <= 65536,
                   "negative_samples must be in [1, 65536]; got ", negatives);
  PENCHANT_REQUIRE(margin >= -1 && margin < 1, "margin must be in [-1, 1); got ", margin);
  PENCHANT_REQUIRE(negative_weight >= 0 && std::isfinite(negative_weight),
                   "negative_weight must be >= 0; got ", negative_weight);
  PENCHANT_REQUIRE(dropout >= 0 && dropout <= 0.9, "dropout must be in [0, 0.9]; got ", dropout);
  PENCHANT_REQUIRE(dropout == 0 || loss == RankingLoss::kCcl,
                   "dropout is of loss \"ccl\" alone; got ", dropout, " with loss \"",
                   RankingLossName(loss), "\"");
}

}  // namespace penchant
