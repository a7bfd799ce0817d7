// What ranking models minimize over sampled pairs.
//
// A step takes up to `batch` positives i of one user u and m negatives j, which they share: items
// that u has no positive interaction with. With scores s = x_u . y + b (b: the item's bias, kept as
// one more factor against a constant 1 of the users), the losses of a step are sums over i of
//   bpr       mean over j of -log sigmoid(s_i - s_j)              Rendle et al. 2009
//   warp      w (1 - s_i + s_j)+ for the first j tried that violates the margin, with
//             w = log(max(1, (items - 1) / tries))                 Weston et al. 2011
//   logistic  -log sigmoid(s_i) - negative_weight mean over j of log sigmoid(-s_j)
//   ccl       1 - c_i + negative_weight mean over j of (c_j - margin)+, with c the cosine of the
//             rows, no biases; rows are kept at length 1; the user's without what the step drops
//                                                                   Mao et al. 2021 (SimpleX)
//   softmax   -log(e^{s_i} / (e^{s_i} + sum over j of e^{s_j} / (m q_j))), with q_j how likely j is
//             drawn                                                Bengio, Senecal 2008
// plus regularization / 2 (|x_u|^2 for every i, |y|^2 for every i and j); none for ccl.
#ifndef PENCHANT_KERNELS_SGD_RANKING_OBJECTIVE_H_
#define PENCHANT_KERNELS_SGD_RANKING_OBJECTIVE_H_

#include <cstdint>

namespace penchant {

enum class RankingLoss { kBpr, kWarp, kLogistic, kCcl, kSoftmax };

const char* RankingLossName(RankingLoss loss);
// Throws InvalidArgument naming the known losses.
RankingLoss ParseRankingLoss(const char* name);

struct RankingObjective {
  RankingLoss loss = RankingLoss::kBpr;
  double regularization = 0.0;
  int64_t batch = 1;             // positives of a step
  int64_t negatives = 1;         // m, of a step
  double margin = 0.0;           // ccl
  double negative_weight = 1.0;  // ccl, logistic

  bool biases = true;  // but for ccl
  double dropout = 0;  // ccl: share of the user's elements that a step leaves out

  // Whether item rows end in a bias and user rows in the constant 1.
  bool has_biases() const { return biases && loss != RankingLoss::kCcl; }
  // Throws InvalidArgument naming the parameter outside its domain.
  void Validate() const;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_RANKING_OBJECTIVE_H_
