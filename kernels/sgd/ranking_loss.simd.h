// The losses of ranking_objective.h and their derivatives by the scores, in vector lanes.
#ifndef PENCHANT_KERNELS_SGD_RANKING_LOSS_SIMD_H_
#define PENCHANT_KERNELS_SGD_RANKING_LOSS_SIMD_H_

#include "kernels/base/simd.h"
#include "kernels/sgd/ranking_steps.h"

namespace penchant {
namespace {

PENCHANT_INLINE bool IsFinite(float x) { return x - x == 0.0f; }

PENCHANT_INLINE Vec Sigmoid(Vec x) { return 1.0f / (1.0f + Exp(-x)); }
// log(1 + e^x)
PENCHANT_INLINE Vec Softplus(Vec x) {
  const Vec zero{};
  const Vec size = x > zero ? x : -x;
  return Log(1.0f + Exp(-size)) + (x > zero ? x : zero);
}

template <int... I>
PENCHANT_INLINE VecMask LaneNumbers(Indices<I...>) {
  return VecMask{I...};
}
// A vector's lanes at and after `left` become `other`.
PENCHANT_INLINE Vec KeepFirst(Vec v, int64_t left, float other) {
  if (left >= kLanes) return v;
  return LaneNumbers(LaneIndices{}) < static_cast<int32_t>(left) ? v : Broadcast(other);
}

// The scores of negatives from c on, so small beyond the last that they count for nothing.
PENCHANT_INLINE Vec ScoresFrom(const float* scores, int64_t c, int64_t count) {
  return KeepFirst(LoadUnaligned(scores + c), count - c, -60.0f);
}
PENCHANT_INLINE void StoreUnaligned(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }

// Each of these fills g with the derivatives of the step's loss by the scores of P positives and N
// negatives behind them, and returns the loss.

float Bpr(int64_t P, int64_t N, const float* scores, float* g) {
  const float share = 1.0f / static_cast<float>(N);
  Vec loss{};
  for (int64_t c = 0; c < N; c += kLanes) StoreUnaligned(g + P + c, Vec{});
  for (int64_t p = 0; p < P; ++p) {
    Vec pull{};
    for (int64_t c = 0; c < N; c += kLanes) {
      const Vec x = ScoresFrom(scores + P, c, N) - scores[p];
      const Vec mine = KeepFirst(Sigmoid(x) * share, N - c, 0.0f);
      StoreUnaligned(g + P + c, LoadUnaligned(g + P + c) + mine);
      pull += mine;
      loss += KeepFirst(Softplus(x), N - c, 0.0f);
    }
    g[p] = -Sum(pull);
  }
  return Sum(loss) * share;
}

float Logistic(const RankingRule& rule, int64_t P, int64_t N, const float* scores, float* g) {
  const float weight = rule.negative_weight * static_cast<float>(P) / static_cast<float>(N);
  Vec negative{}, positive{};
  for (int64_t c = 0; c < N; c += kLanes) {
    const Vec s = ScoresFrom(scores + P, c, N);
    StoreUnaligned(g + P + c, weight * Sigmoid(s));
    negative += KeepFirst(Softplus(s), N - c, 0.0f);
  }
  for (int64_t p = 0; p < P; ++p) {
    const Vec s = Broadcast(-scores[p]);
    g[p] = -Sigmoid(s)[0];
    positive += Softplus(s);
  }
  return weight * Sum(negative) + positive[0];
}

float Ccl(const RankingRule& rule, int64_t P, int64_t N, const float* scores, float* g) {
  const float weight = rule.negative_weight * static_cast<float>(P) / static_cast<float>(N);
  float loss = 0;
  for (int64_t p = 0; p < P; ++p) {
    g[p] = -1.0f;
    loss += 1.0f - scores[p];
  }
  for (int64_t c = P; c < P + N; ++c) {
    const float beyond = scores[c] - rule.margin;
    g[c] = beyond > 0.0f ? weight : 0.0f;
    loss += beyond > 0.0f ? weight * beyond : 0.0f;
  }
  return loss;
}

float Softmax(const RankingRule& rule, const int32_t* rows, int64_t P, int64_t N,
              const float* scores, float* g) {
  float most = scores[0];
  for (int64_t p = 1; p < P; ++p) most = scores[p] > most ? scores[p] : most;
  for (int64_t c = P; c < P + N; ++c) {
    g[c] = scores[c] - rule.log_expected -
           (rule.log_shares != nullptr ? rule.log_shares[rows[c]] : 0.0f);
    most = g[c] > most ? g[c] : most;
  }
  Vec sum{};
  for (int64_t c = 0; c < N; c += kLanes) {
    const Vec e = KeepFirst(Exp(LoadUnaligned(g + P + c) - most), N - c, 0.0f);
    StoreUnaligned(g + P + c, e);
    sum += e;
  }
  const float negatives = Sum(sum);
  float loss = 0, inverses = 0;
  for (int64_t p = 0; p < P; ++p) {
    const Vec x = Broadcast(scores[p] - most);
    const float own = Exp(x)[0], total = own + negatives;
    g[p] = own / total - 1.0f;
    inverses += 1.0f / total;
    loss += Log(Broadcast(total))[0] - x[0];
  }
  for (int64_t c = P; c < P + N; ++c) g[c] *= inverses;
  return loss;
}

// Every positive begins its tries elsewhere among the negatives.
float Warp(const RankingRule& rule, int64_t P, int64_t N, const float* scores, float* g) {
  for (int64_t c = 0; c < P + N; ++c) g[c] = 0.0f;
  float loss = 0;
  for (int64_t p = 0; p < P; ++p) {
    if (!IsFinite(scores[p])) return scores[p];
    int64_t c = P + p * N / P;
    for (int64_t tries = 1; tries <= N; ++tries) {
      const float violation = 1.0f - scores[p] + scores[c];
      if (violation > 0.0f) {
        const int64_t rank = (rule.num_items - 1) / tries;
        const float weight = rank > 1 ? Log(Broadcast(static_cast<float>(rank)))[0] : 0.0f;
        g[p] -= weight;
        g[c] += weight;
        loss += weight * violation;
        break;
      }
      if (++c == P + N) c = P;
    }
  }
  return loss;
}

// Of the loss that the rule names; `rows` are the items'.
float Differentiate(const RankingRule& rule, const int32_t* rows, int64_t P, int64_t N,
                    const float* scores, float* g) {
  switch (rule.loss) {
    case RankingLoss::kBpr:
      return Bpr(P, N, scores, g);
    case RankingLoss::kWarp:
      return Warp(rule, P, N, scores, g);
    case RankingLoss::kLogistic:
      return Logistic(rule, P, N, scores, g);
    case RankingLoss::kCcl:
      return Ccl(rule, P, N, scores, g);
    case RankingLoss::kSoftmax:
      return Softmax(rule, rows, P, N, scores, g);
  }
  return 0;
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_RANKING_LOSS_SIMD_H_
