// What a ranking model's config says, and what it leaves to the loss and the data.
#ifndef PENCHANT_TRAINER_ALGORITHMS_RANKING_CONFIG_H_
#define PENCHANT_TRAINER_ALGORITHMS_RANKING_CONFIG_H_

#include "configs/train_config.pb.h"
#include "io/dataset/interactions.h"
#include "kernels/sgd/optimizer.h"
#include "kernels/sgd/ranking_objective.h"

namespace penchant {

// Fills in what the config leaves open.
void ResolveRanking(const Interactions& interactions, config::TrainConfig* config);

// Throws InvalidArgument naming what lies outside its domain.
// REQUIRES: a resolved config, or one whose other values alone are to be checked.
RankingObjective ObjectiveOf(const config::RankingConfig& config);

Optimizer OptimizerOf(const config::RankingConfig& config);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_RANKING_CONFIG_H_
