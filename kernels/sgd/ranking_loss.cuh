// The losses of ranking_objective.h and their derivatives by the scores, by a warp. The CPU's twin
// is ranking_loss.simd.h.
#ifndef PENCHANT_KERNELS_SGD_RANKING_LOSS_CUH_
#define PENCHANT_KERNELS_SGD_RANKING_LOSS_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/sgd/ranking_steps.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// A warp's part of shared memory. Lists hold a step's positives (up to rule.batch), then its
// negatives from place rule.batch on.
struct WarpMemory {
  float* user;      // stride: the row, while it is walked
  float* gradient;  // stride
  float* seen;      // stride: the row as the step sees it; `user` where nothing is dropped
  float* scores;
  float* g;       // derivatives of the loss by the scores
  int32_t* rows;  // item rows; -1: a place without one
};

// Of floats; rules that drop elements need a row more.
__host__ __device__ __forceinline__ int64_t WarpMemoryFloats(int64_t stride, int64_t rows_a_step,
                                                             bool drops) {
  return (drops ? 3 : 2) * stride + 3 * ((rows_a_step + 3) / 4 * 4);
}

__device__ __forceinline__ WarpMemory WarpMemoryOf(float* shared, int warp, int64_t stride,
                                                   int64_t rows_a_step, bool drops) {
  float* mine = shared + warp * WarpMemoryFloats(stride, rows_a_step, drops);
  const int64_t list = (rows_a_step + 3) / 4 * 4;
  float* lists = mine + (drops ? 3 : 2) * stride;
  return {mine,  mine + stride, drops ? mine + 2 * stride : mine,
          lists, lists + list,  reinterpret_cast<int32_t*>(lists + 2 * list)};
}

__device__ __forceinline__ float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float Softplus(float x) {
  return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

// Sums value(c) over the negatives' places, in every lane.
template <typename Value>
__device__ __forceinline__ float SumOverNegatives(const RankingRule& rule, const WarpMemory& w,
                                                  int lane, Value value) {
  float sum = 0;
  const int end = static_cast<int>(rule.rows_a_step());
  for (int c = static_cast<int>(rule.batch) + lane; c < end; c += kWarpSize) {
    if (w.rows[c] >= 0) sum += value(c);
  }
  return SumOverWarp(sum);
}

// Calls visit(place, there) for every place of a negative, 32 a turn, from place `from` on and
// around again, until it returns true in all lanes; `there`: the place has one.
template <typename Visit>
__device__ __forceinline__ void AroundNegatives(const RankingRule& rule, const WarpMemory& w,
                                                int from, int lane, Visit visit) {
  const int begin = static_cast<int>(rule.batch), m = static_cast<int>(rule.negatives);
  for (int first = 0; first < m; first += kWarpSize) {
    const int at = from - begin + first + lane;
    const int place = begin + (at < m ? at : at - m);
    const bool there = first + lane < m && w.rows[place] >= 0;
    if (visit(place, there)) return;
  }
}

// Every positive begins its tries elsewhere among the N negatives found.
__device__ inline float Warp(const RankingRule& rule, const WarpMemory& w, int P, int N, int lane) {
  const int begin = static_cast<int>(rule.batch), end = static_cast<int>(rule.rows_a_step());
  const unsigned before = (1u << lane) - 1;  // the lanes before this one
  for (int c = lane; c < end; c += kWarpSize) w.g[c] = 0.0f;
  __syncwarp();
  float loss = 0;
  for (int p = 0; p < P; ++p) {
    const float score = w.scores[p];
    if (!isfinite(score)) loss = score;  // and stays so
    int start = begin, tried = 0;
    // The place of the negative that is number p N / P of those found.
    AroundNegatives(rule, w, begin, lane, [&](int place, bool there) {
      const unsigned found = __ballot_sync(kAllLanes, there);
      const unsigned is_it =
          __ballot_sync(kAllLanes, there && tried + __popc(found & before) == p * N / P);
      if (is_it != 0) start = __shfl_sync(kAllLanes, place, __ffs(static_cast<int>(is_it)) - 1);
      tried += __popc(found);
      return is_it != 0;
    });
    tried = 0;
    AroundNegatives(rule, w, start, lane, [&](int place, bool there) {
      const float violation = there ? 1.0f - score + w.scores[place] : 0.0f;
      const unsigned found = __ballot_sync(kAllLanes, there);
      const unsigned violated = __ballot_sync(kAllLanes, violation > 0.0f);
      const int first = __ffs(static_cast<int>(violated)) - 1;
      if (lane == first) {
        const int64_t rank = (rule.num_items - 1) / (tried + __popc(found & before) + 1);
        const float weight = rank > 1 ? logf(static_cast<float>(rank)) : 0.0f;
        w.g[p] -= weight;
        w.g[place] += weight;
        loss += weight * violation;
      }
      tried += __popc(found);
      return violated != 0;
    });
    __syncwarp();
  }
  return SumOverWarp(loss);
}

__device__ inline float Softmax(const RankingRule& rule, const WarpMemory& w, int P, int lane) {
  const int begin = static_cast<int>(rule.batch), end = static_cast<int>(rule.rows_a_step());
  float most = w.scores[0];
  for (int p = 1; p < P; ++p) most = fmaxf(most, w.scores[p]);
  for (int c = begin + lane; c < end; c += kWarpSize) {
    if (w.rows[c] < 0) continue;
    w.g[c] = w.scores[c] - rule.log_expected -
             (rule.log_shares != nullptr ? rule.log_shares[w.rows[c]] : 0.0f);
    most = fmaxf(most, w.g[c]);
  }
  most = MaxOverWarp(most);
  const float negatives = SumOverNegatives(rule, w, lane, [&](int c) {
    w.g[c] = expf(w.g[c] - most);
    return w.g[c];
  });
  float loss = 0, inverses = 0;
  for (int p = 0; p < P; ++p) {
    const float own = expf(w.scores[p] - most), total = own + negatives;
    if (lane == 0) w.g[p] = own / total - 1.0f;
    inverses += 1.0f / total;
    loss += logf(total) + most - w.scores[p];
  }
  for (int c = begin + lane; c < end; c += kWarpSize) {
    if (w.rows[c] >= 0) w.g[c] *= inverses;
  }
  __syncwarp();
  return loss;
}

// Fills w.g with the derivatives of the step's loss by the scores of P positives and N negatives
// found; returns the loss.
__device__ inline float Differentiate(const RankingRule& rule, const WarpMemory& w, int P, int N,
                                      int lane) {
  if (rule.loss == RankingLoss::kWarp) return Warp(rule, w, P, N, lane);
  if (rule.loss == RankingLoss::kSoftmax) return Softmax(rule, w, P, lane);
  const float share = 1.0f / static_cast<float>(N);
  const float weight = rule.negative_weight * static_cast<float>(P) * share;
  float loss = 0;
  if (rule.loss == RankingLoss::kBpr) {
    loss = SumOverNegatives(rule, w, lane, [&](int c) {
      float pull = 0, sum = 0;
      for (int p = 0; p < P; ++p) {
        pull += Sigmoid(w.scores[c] - w.scores[p]) * share;
        sum += Softplus(w.scores[c] - w.scores[p]) * share;
      }
      w.g[c] = pull;
      return sum;
    });
  } else if (rule.loss == RankingLoss::kLogistic) {
    loss = SumOverNegatives(rule, w, lane, [&](int c) {
      w.g[c] = weight * Sigmoid(w.scores[c]);
      return weight * Softplus(w.scores[c]);
    });
  } else {
    loss = SumOverNegatives(rule, w, lane, [&](int c) {
      const float beyond = w.scores[c] - rule.margin;
      w.g[c] = beyond > 0.0f ? weight : 0.0f;
      return w.g[c] * beyond;
    });
  }
  for (int p = 0; p < P; ++p) {
    const float score = w.scores[p];
    float g = -1.0f;
    if (rule.loss == RankingLoss::kBpr) {
      g = -SumOverNegatives(rule, w, lane,
                            [&](int c) { return Sigmoid(w.scores[c] - score) * share; });
    } else if (rule.loss == RankingLoss::kLogistic) {
      g = -Sigmoid(-score);
      loss += Softplus(-score);
    } else {
      loss += 1.0f - score;
    }
    if (lane == 0) w.g[p] = g;
  }
  __syncwarp();
  return loss;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_SGD_RANKING_LOSS_CUH_
