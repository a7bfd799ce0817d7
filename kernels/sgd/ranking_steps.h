// The innermost part of ranking by SGD: steps of one user, one after the other. ranking_epoch.cc
// draws them and calls the table of the selected instruction set.
#ifndef PENCHANT_KERNELS_SGD_RANKING_STEPS_H_
#define PENCHANT_KERNELS_SGD_RANKING_STEPS_H_

#include <cstdint>

#include "kernels/base/host_device.h"
#include "kernels/sgd/optimizer.h"
#include "kernels/sgd/ranking_objective.h"

namespace penchant {

struct RankingRule {
  RankingLoss loss = RankingLoss::kBpr;
  Optimizer optimizer = Optimizer::kSgd;
  float learning_rate = 0;
  float regularization = 0;
  float margin = 0;
  float negative_weight = 0;
  int64_t batch = 1;
  int64_t negatives = 1;
  int64_t factors = 0;       // columns in use, the bias not counted
  int64_t bias_column = -1;  // -1: none
  int64_t num_items = 0;
  // Softmax: an item is drawn exp(log_expected + log_shares[item]) times a step (null: alike).
  float log_expected = 0;
  const float* log_shares = nullptr;
  bool move_items = true;      // false: only the user moves
  uint32_t dropped_bytes = 0;  // user_dropout.h; 0: steps see whole rows

  PENCHANT_HOST_DEVICE int64_t rows_a_step() const { return batch + negatives; }
};

// The rule of an objective over tables of `cols` columns; what moves and how is left to the caller.
RankingRule MakeRankingRule(const RankingObjective& objective, int64_t cols, int64_t num_items,
                            const float* log_shares);

struct RankingSteps {
  float* user = nullptr;  // the row: no other thread has it
  RowMoments user_moments;
  int64_t user_row = 0;
  float* items = nullptr;  // 64-byte aligned rows, zero-padded; other threads may move them
  int64_t stride = 0;
  RowMoments item_moments;
  const int32_t* positives = nullptr;  // count, in steps of rule.batch
  const int32_t* negatives = nullptr;  // rule.negatives a step; -1: none was found
  int64_t count = 0;
  const float* kept = nullptr;  // stride a step: 0 for elements of the user it drops, else 1
  float* scratch = nullptr;     // RankingScratchFloats(rule.rows_a_step(), stride), 64-byte aligned
  // Where the steps' derivatives by the scores are kept, if not null, in the order positives
  // (batch), negatives; and the user's row as each step saw it.
  float* derivatives = nullptr;
  float* users = nullptr;
  double loss = 0;      // out: summed over positives
  int64_t failed = -1;  // out: first positive of the first step whose loss is not finite
};

inline int64_t RankingScratchFloats(int64_t rows_a_step, int64_t stride) {
  return 4 * ((rows_a_step + 31) / 16 * 16) + 2 * stride;
}

// What a step of a user asks of an item.
struct ItemPull {
  const float* user = nullptr;  // the row as the step saw it
  float derivative = 0;
};

struct RankingStepKernels {
  void (*run)(const RankingRule& rule, RankingSteps* batch);
  // Moves item `row` of `batch` by all pulls at once.
  void (*move_item)(const RankingRule& rule, const RankingSteps& batch, int64_t row,
                    const ItemPull* pulls, int64_t count);
};

const RankingStepKernels& SelectedRankingStepKernels();

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_RANKING_STEPS_H_
