// A user's factors from what the user did, by the rule of the artifact.
#ifndef PENCHANT_IO_READER_HISTORY_FOLD_IN_H_
#define PENCHANT_IO_READER_HISTORY_FOLD_IN_H_

#include <cstdint>
#include <span>
#include <vector>

#include "io/artifact/artifact.h"
#include "kernels/base/memory.h"

namespace penchant {

// Items with weights, a row once.
struct History {
  std::vector<int64_t> items;
  std::vector<float> weights;  // negative: disliked
};

class HistoryFoldIn {
 public:
  // REQUIRES: the artifact has items, and outlives this.
  explicit HistoryFoldIn(const Artifact& artifact);

  // Factors, of artifact.factors() numbers. ALS: the exact solution of its objective, in float64.
  // Ranking models: their steps, as in training, over the history and a fixed sample of negatives.
  // Item2Vec: the mean of the items' centers. Popularity: the constant.
  std::vector<float> User(const History& history) const;

  // For each item of the history, its part of the score of `item`; the parts sum to the score of
  // the user folded in. Throws InvalidArgument for models whose scores are no such sums.
  std::vector<double> Explain(const History& history, int64_t item) const;

 private:
  std::vector<float> Rows(const PackedTableView& table, std::span<const int64_t> rows) const;
  std::vector<float> SolveAls(const AlsFoldInRule& rule, const History& history) const;
  std::vector<float> StepRanking(const RankingFoldInRule& rule, const History& history) const;
  std::vector<float> Mean(const History& history) const;

  const Artifact& artifact_;
  int64_t d_;
  Matrix negatives_;  // rows of RankingFoldInRule::negatives
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_HISTORY_FOLD_IN_H_
