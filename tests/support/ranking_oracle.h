// Ranking by SGD in double, by numeric derivatives of the losses as ranking_objective.h states
// them.
#ifndef PENCHANT_TESTS_SUPPORT_RANKING_ORACLE_H_
#define PENCHANT_TESTS_SUPPORT_RANKING_ORACLE_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/base/memory.h"
#include "kernels/sgd/ranking_epoch.h"

namespace penchant::oracle {

struct RankingState {
  std::vector<std::vector<double>> users, items;
  // Second moments, steps and mean gradients of rows of users ('u') and items ('i').
  std::map<std::pair<char, int64_t>, double> squares = {}, steps = {};
  std::map<std::pair<char, int64_t>, std::vector<double>> means = {};
};

// What an epoch is to walk of a user.
struct RankingUser {
  std::vector<Positive> positives;
  std::function<bool(int32_t item)> rejects;
};

// A deterministic epoch of one portion; returns the loss, summed. The negatives are drawn on the
// host by epoch.negatives.
double RankingInTurn(const RankingEpoch& epoch, const std::vector<RankingUser>& users,
                     RankingState* state);

// The negatives found for a step whose first positive has this position.
std::vector<int32_t> RankingNegatives(const RankingEpoch& epoch, const RankingUser& user,
                                      int64_t position);

void ExpectNear(const Matrix& got, const std::vector<std::vector<double>>& wanted, double tolerance,
                const std::string& what);

// A table's rows as training starts from them.
std::vector<std::vector<double>> RankingRows(const RankingEpoch& epoch, const Matrix& table);

}  // namespace penchant::oracle

#endif  // PENCHANT_TESTS_SUPPORT_RANKING_ORACLE_H_
