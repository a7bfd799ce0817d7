#ifndef PENCHANT_TRAINER_ALGORITHMS_ITEM2VEC_FOLD_IN_H_
#define PENCHANT_TRAINER_ALGORITHMS_ITEM2VEC_FOLD_IN_H_

#include <memory>

#include "trainer/algorithm.h"

namespace penchant {

// Fold-in of new rows into an Item2Vec model.
std::unique_ptr<FoldIn> MakeItem2VecFoldIn(std::shared_ptr<const Model> model);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHMS_ITEM2VEC_FOLD_IN_H_
