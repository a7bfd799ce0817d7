// How rows move (optimizer.h), in vector lanes; other threads may move the same rows.
#ifndef PENCHANT_KERNELS_SGD_ROW_MOVES_SIMD_H_
#define PENCHANT_KERNELS_SGD_ROW_MOVES_SIMD_H_

#include "kernels/base/simd.h"
#include "kernels/sgd/ranking_steps.h"

namespace penchant {
namespace {

// Rows that other threads may read and write meanwhile (Hogwild): element by element relaxed and
// atomic, which x86's aligned vector moves are. ThreadSanitizer is told so in scalars.
#if defined(PENCHANT_TSAN)
PENCHANT_INLINE Vec LoadShared(const float* p) {
  Vec v;
  for (int lane = 0; lane < kLanes; ++lane) {
    float x;
    __atomic_load(p + lane, &x, __ATOMIC_RELAXED);
    v[lane] = x;
  }
  return v;
}
PENCHANT_INLINE void StoreShared(float* p, Vec v) {
  for (int lane = 0; lane < kLanes; ++lane) {
    float x = v[lane];
    __atomic_store(p + lane, &x, __ATOMIC_RELAXED);
  }
}
#else
PENCHANT_INLINE Vec LoadShared(const float* p) { return Load(p); }
PENCHANT_INLINE void StoreShared(float* p, Vec v) { Store(p, v); }
#endif
PENCHANT_INLINE float LoadOne(const float* p) {
  float x;
  __atomic_load(p, &x, __ATOMIC_RELAXED);
  return x;
}
PENCHANT_INLINE void StoreOne(float* p, float x) { __atomic_store(p, &x, __ATOMIC_RELAXED); }

PENCHANT_INLINE float RootInverse(float x) { return 1.0f / __builtin_sqrtf(x); }

PENCHANT_INLINE float Dot(const float* u, const float* v, int64_t stride) {
  Vec sum{};
  for (int64_t k = 0; k < stride; k += kLanes) sum += Load(u + k) * LoadShared(v + k);
  return Sum(sum);
}

// How far a row moves along its gradient, of which `square` is the elements' mean square.
PENCHANT_INLINE float Rate(const RankingRule& rule, const RowMoments& moments, int64_t row,
                           float square) {
  switch (rule.optimizer) {
    case Optimizer::kSgd:
      return rule.learning_rate;
    case Optimizer::kAdagrad: {
      const float sum = LoadOne(moments.squares + row) + square;
      StoreOne(moments.squares + row, sum);
      return rule.learning_rate / __builtin_sqrtf(kAdagradStart + sum);
    }
    case Optimizer::kAdam: {
      const float sum =
          kAdamSquare * LoadOne(moments.squares + row) + (1.0f - kAdamSquare) * square;
      const float steps = LoadOne(moments.steps + row) + 1.0f;
      StoreOne(moments.squares + row, sum);
      StoreOne(moments.steps + row, steps);
      const float square_share = 1.0f - __builtin_powf(kAdamSquare, steps);
      const float mean_share = 1.0f - __builtin_powf(kAdamMean, steps);
      return rule.learning_rate / (mean_share * (__builtin_sqrtf(sum / square_share) + kAdamFloor));
    }
  }
  return 0;
}

// The mean square of a gradient's elements, given the sum of all their squares.
PENCHANT_INLINE float MeanSquare(const RankingRule& rule, const float* gradient, float sum) {
  if (rule.bias_column >= 0) sum -= gradient[rule.bias_column] * gradient[rule.bias_column];
  return sum / static_cast<float>(rule.factors);
}

// Moves a row against `gradient`, whose elements' mean square is `square`; to length 1 if `unit`.
void MoveRow(const RankingRule& rule, float* v, int64_t stride, const RowMoments& moments,
             int64_t row, const float* gradient, float square, bool unit) {
  const float rate = Rate(rule, moments, row, square);
  float* mean = rule.optimizer == Optimizer::kAdam ? moments.means + row * stride : nullptr;
  Vec length{};
  for (int64_t k = 0; k < stride; k += kLanes) {
    Vec g = Load(gradient + k);
    if (mean != nullptr) {
      g = kAdamMean * LoadShared(mean + k) + (1.0f - kAdamMean) * g;
      StoreShared(mean + k, g);
    }
    const Vec moved = LoadShared(v + k) - rate * g;
    StoreShared(v + k, moved);
    length += moved * moved;
  }
  if (!unit) return;
  const float inverse = RootInverse(Sum(length));
  for (int64_t k = 0; k < stride; k += kLanes) StoreShared(v + k, inverse * LoadShared(v + k));
}

}  // namespace
}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_ROW_MOVES_SIMD_H_
