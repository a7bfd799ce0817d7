#ifndef PENCHANT_TRAINER_ALGORITHMS_RANKING_FOLD_IN_H_
#define PENCHANT_TRAINER_ALGORITHMS_RANKING_FOLD_IN_H_

#include <memory>

#include "trainer/algorithm.h"

namespace penchant {

// Fold-in of new rows into a ranking model.
std::unique_ptr<FoldIn> MakeRankingFoldIn(std::shared_ptr<const Model> model);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_RANKING_FOLD_IN_H_
