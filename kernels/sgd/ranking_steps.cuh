// One step of ranking by SGD, worked on by a warp: draw the negatives, score, differentiate,
// move. The CPU's twin is ranking_steps.simd.cc.
#ifndef PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_
#define PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_

#include "kernels/base/ptx.cuh"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sgd/ranking_loss.cuh"
#include "kernels/sgd/row_moves.cuh"
#include "kernels/sgd/user_dropout.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

// From where a walk's negatives come, and where it keeps what it asks of items (null: they move).
struct Walk {
  NegativeTable negatives;
  EpochPart part;
  int32_t* rows;       // of every place of every step; -1: none
  float* derivatives;  // likewise
  float* users;        // the user's row as every step saw it
};

// Fills w.seen with the user's row as the step sees it; returns 1 / the length of what is kept, or
// 0 where nothing is dropped.
__device__ inline float See(const RankingRule& rule, const EpochPart& part, const WarpMemory& w,
                            int64_t stride, int64_t position, int lane) {
  if (rule.dropped_bytes == 0) return 0.0f;
  float square = 0;
  ForEachOwn(stride, lane, [&](int64_t k) {
    const float x = KeepsElement(part, position, k, rule.dropped_bytes) ? w.user[k] : 0.0f;
    w.seen[k] = x;
    square += x * x;
  });
  square = SumOverWarp(square);
  const bool enough = Agreed(square > kLeastSeenSquare);  // false for NaN too
  const float inverse = enough ? 1.0f / sqrtf(square) : 0.0f;
  ForEachOwn(stride, lane,
             [&](int64_t k) { w.seen[k] = enough ? inverse * w.seen[k] : w.user[k]; });
  __syncwarp();
  return inverse;
}

// w.scores = what is seen of the user's row . the item rows of w.rows, eight lanes a row: four rows
// are on their way at a time.
__device__ __forceinline__ void Score(const RankingTables& tables, const WarpMemory& w, int size,
                                      int lane) {
  constexpr int kLanesARow = 8, kRowsAtATime = kWarpSize / kLanesARow;
  const int part = lane % kLanesARow;
  for (int first = 0; first < size; first += kRowsAtATime) {
    const int c = first + lane / kLanesARow;
    const int32_t row = c < size ? w.rows[c] : -1;
    float sum = 0;
    const float* v = tables.items.data + (row < 0 ? 0 : row) * tables.items.stride;
    for (int64_t from = 0; from < tables.items.stride; from += 4 * kLanesARow) {
      const int64_t k = from + 4 * part;
      if (row < 0 || k >= tables.items.stride) continue;
      const float4 x = LoadFourRelaxed(v + k);
      const float4 u = *reinterpret_cast<const float4*>(w.seen + k);
      sum += u.x * x.x + u.y * x.y + u.z * x.z + u.w * x.w;
    }
#pragma unroll
    for (int lanes = kLanesARow / 2; lanes > 0; lanes /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, lanes);
    }
    if (part == 0 && row >= 0) w.scores[c] = sum;
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
    ForEachOwn(stride, lane, [&](int64_t k) {
      const float old = LoadRelaxed(v + k);
      products += w.seen[k] * old;
      squares += old * old;
    });
    const float score = SumOverWarp(products) / sqrtf(SumOverWarp(squares));
    b = -g * score;  // on the sphere only the part of the gradient across the row counts
    square = fmaxf(0.0f, 1.0f - score * score);
  }
  const float rate = RateOf(rule, tables.item_moments, row,
                            g * g * square / static_cast<float>(rule.factors), lane);
  float* mean =
      rule.optimizer == Optimizer::kAdam ? tables.item_moments.means + row * stride : nullptr;
  const auto moved = [&](int64_t k, float old) {
    if (mean == nullptr) return (1.0f - rate * b) * old - rate * g * w.seen[k];
    return old - rate * (kAdamMean * LoadRelaxed(mean + k) +
                         (1.0f - kAdamMean) * (g * w.seen[k] + b * old));
  };
  float inverse = 1.0f;
  if (unit) {
    float length = 0;
    ForEachOwn(stride, lane, [&](int64_t k) {
      const float x = moved(k, LoadRelaxed(v + k));
      length += x * x;
    });
    inverse = 1.0f / sqrtf(SumOverWarp(length));
  }
  ForEachOwn(stride, lane, [&](int64_t k) {
    const float old = LoadRelaxed(v + k);
    const float now = moved(k, old);
    if (mean != nullptr) {
      StoreRelaxed(mean + k, kAdamMean * LoadRelaxed(mean + k) +
                                 (1.0f - kAdamMean) * (g * w.seen[k] + b * old));
    }
    w.gradient[k] += g * old;
    atomicAdd(v + k, inverse * now - old);
  });
}

// Moves everything that a step's scores depend on.
template <bool kItemsMove>
__device__ inline void Move(const RankingRule& rule, const RankingTables& tables,
                            const WarpMemory& w, const EpochPart& part, int64_t user, int P,
                            int64_t position, float inverse_length, int lane) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = tables.items.stride;
  float user_square = 0, radial = 0;
  ForEachOwn(stride, lane, [&](int64_t k) {
    w.gradient[k] = 0;
    if (k != rule.bias_column) user_square += w.user[k] * w.user[k];
  });
  user_square = SumOverWarp(user_square);
  const int end = static_cast<int>(rule.rows_a_step());
  for (int c = 0; c < end; ++c) {
    const int32_t row = w.rows[c];
    const float g = row < 0 ? 0.0f : w.g[c];
    if (g == 0.0f) continue;
    radial += g * w.scores[c];
    if (kItemsMove && rule.move_items) {
      PullItem(rule, tables, w, row, g, user_square, lane);
      continue;
    }
    const float* v = tables.items.data + row * stride;
    ForEachOwn(stride, lane, [&](int64_t k) { w.gradient[k] += g * v[k]; });
  }
  __syncwarp();
  float b = unit ? -radial : rule.regularization * static_cast<float>(P);
  if (Agreed(inverse_length > 0.0f)) {
    // What is dropped does not move, and the rest across what was seen.
    ForEachOwn(stride, lane, [&](int64_t k) {
      const bool kept = KeepsElement(part, position, k, rule.dropped_bytes);
      w.gradient[k] = kept ? inverse_length * (w.gradient[k] + b * w.seen[k]) : 0.0f;
    });
    b = 0.0f;
    __syncwarp();
  }
  MoveRow(rule, w.user, stride, tables.user_moments, user, w.gradient, b, unit, rule.bias_column,
          lane);
}

// Works on the step whose P positives stand in w.rows, the first of them at `position` of the
// interactions; returns its loss. `step` is its number among those whose pulls are kept.
template <bool kItemsMove, typename Source>
__device__ inline float Step(const RankingRule& rule, const Walk& walk, const RankingTables& tables,
                             const WarpMemory& w, const Source& source, int64_t user, int P,
                             int64_t position, int64_t step, int lane) {
  const int batch = static_cast<int>(rule.batch), m = static_cast<int>(rule.negatives);
  const int size = batch + m;
  int found = 0;
  for (int p = P + lane; p < batch; p += kWarpSize) w.rows[p] = -1;
  for (int k = lane; k < m; k += kWarpSize) {
    const int32_t row = DrawNegative(walk.negatives, walk.part, position, k, m,
                                     [&](int32_t drawn) { return source.Rejects(user, drawn); });
    w.rows[batch + k] = row;
    found += row >= 0;
  }
  found = SumOverWarp(found);
  __syncwarp();
  const float inverse_length = See(rule, walk.part, w, tables.items.stride, position, lane);
  if (!kItemsMove) {
    for (int c = lane; c < size; c += kWarpSize) {
      walk.rows[step * size + c] = found > 0 ? w.rows[c] : -1;
    }
    ForEachOwn(tables.users.stride, lane,
               [&](int64_t k) { walk.users[step * tables.users.stride + k] = w.seen[k]; });
  }
  if (Agreed(found == 0)) return 0.0f;
  Score(tables, w, size, lane);
  const float loss = Differentiate(rule, w, P, found, lane);
  if (Agreed(!isfinite(loss))) return loss;
  if (!kItemsMove) {
    for (int c = lane; c < size; c += kWarpSize) {
      walk.derivatives[step * size + c] = w.rows[c] >= 0 ? w.g[c] : 0.0f;
    }
  }
  Move<kItemsMove>(rule, tables, w, walk.part, user, P, position, inverse_length, lane);
  return loss;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_SGD_RANKING_STEPS_CUH_
