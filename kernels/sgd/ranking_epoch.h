// An epoch of ranking by SGD, or a part of one: every positive once, against negatives drawn for
// it.
#ifndef PENCHANT_KERNELS_SGD_RANKING_EPOCH_H_
#define PENCHANT_KERNELS_SGD_RANKING_EPOCH_H_

#include <cstdint>
#include <memory>

#include "kernels/base/context.h"
#include "kernels/sgd/epoch_order.h"
#include "kernels/sgd/negative_items.h"
#include "kernels/sgd/ranking_objective.h"
#include "kernels/sgd/ranking_steps.h"
#include "kernels/sgd/skip_gram_contexts.h"

namespace penchant {

struct RankingEpoch {
  RankingObjective objective;
  Optimizer optimizer = Optimizer::kSgd;
  double learning_rate = 0.05;
  NegativeTable negatives;
  EpochPart part;
  bool move_items = true;  // false: users alone move, as fold-in needs it
};

// Everything on the context's device. Where the objective has biases, item rows end in theirs and
// user rows in 1, after the other factors.
struct RankingTables {
  MatrixView<float> users, items;
  RowMoments user_moments, item_moments;
};

struct EpochReport {
  double loss = 0;  // summed over positives
  int64_t positives = 0;
  int64_t failed = -1;  // position of a positive whose step's loss is not finite; -1: none

  void Add(const EpochReport& other);
};

// Visits the positives of `users` that are of the part, in order; a user's in steps of
// objective.batch, which share objective.negatives draws. Deterministic orders give the same bits
// for any number of threads, by letting the items of a portion of users move at once. Else threads
// move shared items without locks, and the result depends on their timing (but not with one thread,
// nor when items do not move). The report is there after context.Synchronize().
// REQUIRES: `order` is of these users (on the host) and the part.
std::shared_ptr<const EpochReport> RunRankingEpoch(Context& context, const RankingEpoch& epoch,
                                                   const EpochOrder& order,
                                                   const CsrPositives& users,
                                                   const RankingTables& tables);
// The same with items as users, whose positives are their contexts.
std::shared_ptr<const EpochReport> RunRankingEpoch(Context& context, const RankingEpoch& epoch,
                                                   const EpochOrder& order,
                                                   const SkipGramContexts& centers,
                                                   const RankingTables& tables);

// The rule of an epoch, for both twins.
RankingRule RuleOf(const RankingEpoch& epoch, const RankingTables& tables);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_RANKING_EPOCH_H_
