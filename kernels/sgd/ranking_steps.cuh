// One sample of ranking by SGD, worked on by a warp: draw the negatives, score, differentiate,
// move. The CPU's twin is ranking_batch.simd.cc.
#ifndef PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_
#define PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/sgd/ranking_batch.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sgd/sampling.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// From where a walk's negatives come, and where it keeps what it asks of items (null: they move).
struct Walk {
  NegativeTable negatives;
  EpochPart part;
  int32_t* rows;       // of every place of every step; -1: none
  float* derivatives;  // likewise
  float* users;        // the user's row before every step
};

// The interactions of a user.
struct Positives {
  const int32_t* items;  // ascending
  const float* values;   // null: all ones
  int64_t count;

  __device__ __forceinline__ bool Counts(int64_t j) const {
    return values == nullptr || values[j] > 0.0f;
  }
  __device__ __forceinline__ bool Has(int32_t item) const {
    int64_t low = 0, high = count;
    while (low < high) {
      const int64_t middle = (low + high) / 2;
      if (items[middle] < item) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    return low < count && items[low] == item && Counts(low);
  }
};

// A warp's part of shared memory. Lists hold a step's positives (up to rule.batch), then its
// negatives from place rule.batch on.
struct WarpMemory {
  float* user;      // stride: the row, while it is walked
  float* gradient;  // stride
  float* scores;
  float* g;       // derivatives of the loss by the scores
  int32_t* rows;  // item rows; -1: a place without one
};

__host__ __device__ __forceinline__ int64_t WarpMemoryFloats(int64_t stride, int64_t rows_a_step) {
  return 2 * stride + 3 * ((rows_a_step + 3) / 4 * 4);
}

__device__ __forceinline__ WarpMemory WarpMemoryOf(float* shared, int warp, int64_t stride,
                                                   int64_t rows_a_step) {
  float* mine = shared + warp * WarpMemoryFloats(stride, rows_a_step);
  const int64_t list = (rows_a_step + 3) / 4 * 4;
  return {mine, mine + stride, mine + 2 * stride, mine + 2 * stride + list,
          reinterpret_cast<int32_t*>(mine + 2 * stride + 2 * list)};
}

__device__ __forceinline__ float MaxOverWarp(float value) {
#pragma unroll
  for (int lanes = kWarpSize / 2; lanes > 0; lanes /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, lanes));
  }
  return value;
}

__device__ __forceinline__ float Sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
__device__ __forceinline__ float Softplus(float x) {
  return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

// user . item row, in every lane.
__device__ __forceinline__ float ScoreOf(const RankingTables& tables, const WarpMemory& w,
                                         int32_t row, int lane) {
  const float* v = tables.items.data + row * tables.items.stride;
  float sum = 0;
  for (int64_t k = lane; k < tables.items.stride; k += kWarpSize) {
    sum += w.user[k] * LoadRelaxed(v + k);
  }
  return SumOverWarp(sum);
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

// Every positive begins its tries elsewhere among the N negatives found.
__device__ inline float Warp(const RankingRule& rule, const WarpMemory& w, int P, int N, int lane) {
  float loss = 0;
  if (lane == 0) {
    const int begin = static_cast<int>(rule.batch), end = static_cast<int>(rule.rows_a_step());
    for (int c = 0; c < end; ++c) w.g[c] = 0.0f;
    for (int p = 0; p < P; ++p) {
      if (!isfinite(w.scores[p])) loss = w.scores[p];
      if (!isfinite(loss)) break;
      // The place of the negative that is number p N / P of those found.
      int c = begin;
      for (int skip = p * N / P; w.rows[c] < 0 || skip > 0; ++c) skip -= w.rows[c] >= 0;
      for (int tries = 1; tries <= N; ++c) {
        if (c == end) c = begin;
        if (w.rows[c] < 0) continue;
        const float violation = 1.0f - w.scores[p] + w.scores[c];
        if (violation > 0.0f) {
          const int64_t rank = (rule.num_items - 1) / tries;
          const float weight = rank > 1 ? logf(static_cast<float>(rank)) : 0.0f;
          w.g[p] -= weight;
          w.g[c] += weight;
          loss += weight * violation;
          break;
        }
        ++tries;
      }
    }
  }
  __syncwarp();
  return __shfl_sync(kAllLanes, loss, 0);
}

__device__ inline float Softmax(const RankingRule& rule, const WarpMemory& w, int P, int lane) {
  const int begin = static_cast<int>(rule.batch), end = static_cast<int>(rule.rows_a_step());
  float most = w.scores[0];
  for (int p = 1; p < P; ++p) most = fmaxf(most, w.scores[p]);
  for (int c = begin + lane; c < end; c += kWarpSize) {
    if (w.rows[c] < 0) continue;
    const float expected =
        rule.log_expected != nullptr ? rule.log_expected[w.rows[c]] : rule.log_expected_all;
    w.g[c] = w.scores[c] - expected;
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

// How far a row moves along its gradient, in every lane; `square` is the mean of its elements'
// squares. Lane 0 keeps the moments.
__device__ inline float RateOf(const RankingRule& rule, const RowMoments& moments, int64_t row,
                               float square, int lane) {
  if (rule.optimizer == Optimizer::kSgd) return rule.learning_rate;
  float rate = 0;
  if (lane == 0) {
    const float before = LoadRelaxed(moments.squares + row);
    if (rule.optimizer == Optimizer::kAdagrad) {
      const float sum = before + square;
      StoreRelaxed(moments.squares + row, sum);
      rate = rule.learning_rate / sqrtf(kAdagradStart + sum);
    } else {
      const float sum = kAdamSquare * before + (1.0f - kAdamSquare) * square;
      const float steps = LoadRelaxed(moments.steps + row) + 1.0f;
      StoreRelaxed(moments.squares + row, sum);
      StoreRelaxed(moments.steps + row, steps);
      const float square_share = 1.0f - powf(kAdamSquare, steps);
      const float mean_share = 1.0f - powf(kAdamMean, steps);
      rate = rule.learning_rate / (mean_share * (sqrtf(sum / square_share) + kAdamFloor));
    }
  }
  return __shfl_sync(kAllLanes, rate, 0);
}

// Moves a row against `gradient` + b row; to length 1 if `unit`. `constant_column`: stays 1; -1:
// none.
__device__ inline void MoveRow(const RankingRule& rule, float* v, int64_t stride,
                               const RowMoments& moments, int64_t row, float* gradient, float b,
                               bool unit, int64_t constant_column, int lane) {
  float square = 0;
  for (int64_t k = lane; k < stride; k += kWarpSize) {
    const float g = gradient[k] + b * v[k];
    if (k != rule.bias_column) square += g * g;
    gradient[k] = g;
  }
  square = SumOverWarp(square) / static_cast<float>(rule.factors);
  const float rate = RateOf(rule, moments, row, square, lane);
  float* mean = rule.optimizer == Optimizer::kAdam ? moments.means + row * stride : nullptr;
  float length = 0;
  for (int64_t k = lane; k < stride; k += kWarpSize) {
    float g = gradient[k];
    if (mean != nullptr) {
      g = kAdamMean * mean[k] + (1.0f - kAdamMean) * g;
      mean[k] = g;
    }
    const float now = k == constant_column ? 1.0f : v[k] - rate * g;
    v[k] = now;
    length += now * now;
  }
  if (unit) {
    const float inverse = 1.0f / sqrtf(SumOverWarp(length));
    for (int64_t k = lane; k < stride; k += kWarpSize) v[k] *= inverse;
  }
  __syncwarp();
}

// Adds g v to the user's gradient, v being the item's row, and moves v against g u + b v. Other
// warps move the same items, so what this one adds is added atomically.
__device__ inline void PullItem(const RankingRule& rule, const RankingTables& tables,
                                const WarpMemory& w, int32_t row, float g, float user_square,
                                int lane) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = tables.items.stride;
  float* v = tables.items.data + row * stride;
  float b = rule.regularization, square = user_square;
  if (unit) {
    // Of the row as it is now: others may have moved it.
    float products = 0, squares = 0;
    for (int64_t k = lane; k < stride; k += kWarpSize) {
      const float old = LoadRelaxed(v + k);
      products += w.user[k] * old;
      squares += old * old;
    }
    const float score = SumOverWarp(products) / sqrtf(SumOverWarp(squares));
    b = -g * score;  // on the sphere only the part of the gradient across the row counts
    square = fmaxf(0.0f, 1.0f - score * score);
  }
  const float rate = RateOf(rule, tables.item_moments, row,
                            g * g * square / static_cast<float>(rule.factors), lane);
  float* mean =
      rule.optimizer == Optimizer::kAdam ? tables.item_moments.means + row * stride : nullptr;
  const auto moved = [&](int64_t k, float old) {
    if (mean == nullptr) return (1.0f - rate * b) * old - rate * g * w.user[k];
    return old - rate * (kAdamMean * LoadRelaxed(mean + k) +
                         (1.0f - kAdamMean) * (g * w.user[k] + b * old));
  };
  float inverse = 1.0f;
  if (unit) {
    float length = 0;
    for (int64_t k = lane; k < stride; k += kWarpSize) {
      const float x = moved(k, LoadRelaxed(v + k));
      length += x * x;
    }
    inverse = 1.0f / sqrtf(SumOverWarp(length));
  }
  for (int64_t k = lane; k < stride; k += kWarpSize) {
    const float old = LoadRelaxed(v + k);
    const float now = moved(k, old);
    if (mean != nullptr) {
      StoreRelaxed(mean + k, kAdamMean * LoadRelaxed(mean + k) +
                                 (1.0f - kAdamMean) * (g * w.user[k] + b * old));
    }
    w.gradient[k] += g * old;
    atomicAdd(v + k, inverse * now - old);
  }
}

// Moves everything that a step's scores depend on.
template <bool kItemsMove>
__device__ inline void Move(const RankingRule& rule, const RankingTables& tables,
                            const WarpMemory& w, int64_t user, int P, int lane) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = tables.items.stride;
  float user_square = 0, radial = 0;
  for (int64_t k = lane; k < stride; k += kWarpSize) {
    w.gradient[k] = 0;
    if (k != rule.bias_column) user_square += w.user[k] * w.user[k];
  }
  user_square = SumOverWarp(user_square);
  const int end = static_cast<int>(rule.rows_a_step());
  for (int c = 0; c < end; ++c) {
    if (w.rows[c] < 0 || w.g[c] == 0.0f) continue;
    radial += w.g[c] * w.scores[c];
    if (kItemsMove && rule.move_items) {
      PullItem(rule, tables, w, w.rows[c], w.g[c], user_square, lane);
      continue;
    }
    const float* v = tables.items.data + w.rows[c] * stride;
    for (int64_t k = lane; k < stride; k += kWarpSize) w.gradient[k] += w.g[c] * v[k];
  }
  __syncwarp();
  MoveRow(rule, w.user, stride, tables.user_moments, user, w.gradient,
          unit ? -radial : rule.regularization * static_cast<float>(P), unit, rule.bias_column,
          lane);
}

// Works on the step whose P positives stand in w.rows, the first of them at `position` of the
// interactions; returns its loss. `step` is its number among those whose pulls are kept.
template <bool kItemsMove>
__device__ inline float Step(const RankingRule& rule, const Walk& walk, const RankingTables& tables,
                             const WarpMemory& w, const Positives& positives, int64_t user, int P,
                             int64_t position, int64_t step, int lane) {
  const int batch = static_cast<int>(rule.batch), m = static_cast<int>(rule.negatives);
  const int size = batch + m;
  int found = 0;
  for (int p = P + lane; p < batch; p += kWarpSize) w.rows[p] = -1;
  for (int k = lane; k < m; k += kWarpSize) {
    const int32_t row = DrawNegative(walk.negatives, walk.part, position, k, m,
                                     [&](int32_t drawn) { return positives.Has(drawn); });
    w.rows[batch + k] = row;
    found += row >= 0;
  }
  found = SumOverWarp(found);
  __syncwarp();
  if (!kItemsMove) {
    for (int c = lane; c < size; c += kWarpSize) {
      walk.rows[step * size + c] = found > 0 ? w.rows[c] : -1;
    }
    for (int64_t k = lane; k < tables.users.stride; k += kWarpSize) {
      walk.users[step * tables.users.stride + k] = w.user[k];
    }
  }
  if (found == 0) return 0.0f;
  for (int c = 0; c < size; ++c) {
    if (w.rows[c] < 0) continue;
    const float score = ScoreOf(tables, w, w.rows[c], lane);
    if (lane == 0) w.scores[c] = score;
  }
  __syncwarp();
  const float loss = Differentiate(rule, w, P, found, lane);
  if (!isfinite(loss)) return loss;
  if (!kItemsMove) {
    for (int c = lane; c < size; c += kWarpSize) {
      walk.derivatives[step * size + c] = w.rows[c] >= 0 ? w.g[c] : 0.0f;
    }
  }
  Move<kItemsMove>(rule, tables, w, user, P, lane);
  return loss;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_
