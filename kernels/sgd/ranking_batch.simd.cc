#include "kernels/sgd/ranking_batch.h"

#include "kernels/base/simd.h"

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
PENCHANT_INLINE bool IsFinite(float x) { return x - x == 0.0f; }

// The lists of a step, in scratch memory. Those of negatives are padded to whole vectors.
struct Lists {
  int32_t* rows;    // item rows: positives, then negatives
  int32_t* places;  // place of each in the step as drawn
  float* scores;
  float* g;         // derivatives of the loss by the scores
  float* gradient;  // of the user's row
};

PENCHANT_INLINE Lists ListsIn(float* scratch, int64_t rows_a_step) {
  const int64_t list = (rows_a_step + 31) / 16 * 16;
  return {reinterpret_cast<int32_t*>(scratch), reinterpret_cast<int32_t*>(scratch + list),
          scratch + 2 * list, scratch + 3 * list, scratch + 4 * list};
}

PENCHANT_INLINE float Dot(const float* u, const float* v, int64_t stride) {
  Vec sum{};
  for (int64_t k = 0; k < stride; k += kLanes) sum += Load(u + k) * LoadShared(v + k);
  return Sum(sum);
}

// scores[c] = user . row rows[c]
void Score(const RankingBatch& b, const int32_t* rows, int64_t count, float* scores) {
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
    Vec sums[kLanes] = {};
    const float* row[kLanes];
    for (int i = 0; i < kLanes; ++i) row[i] = b.items + rows[c + i] * b.stride;
    for (int64_t k = 0; k < b.stride; k += kLanes) {
      const Vec u = Load(b.user + k);
      for (int i = 0; i < kLanes; ++i) sums[i] += u * LoadShared(row[i] + k);
    }
    const Vec all = SumLanes(sums);
    for (int p = 0; p < kLanes; ++p) scores[c + SumSlot(p)] = all[p];
  }
  for (; c < count; ++c) scores[c] = Dot(b.user, b.items + rows[c] * b.stride, b.stride);
}

void Prefetch(const RankingBatch& b, int32_t row) {
  const auto* p = reinterpret_cast<const char*>(b.items + row * b.stride);
  for (int64_t byte = 0; byte < b.stride * 4; byte += 64) __builtin_prefetch(p + byte, 1);
}

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
    g[c] = scores[c] -
           (rule.log_expected != nullptr ? rule.log_expected[rows[c]] : rule.log_expected_all);
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

float Differentiate(const RankingRule& rule, const Lists& lists, int64_t P, int64_t N) {
  switch (rule.loss) {
    case RankingLoss::kBpr:
      return Bpr(P, N, lists.scores, lists.g);
    case RankingLoss::kWarp:
      return Warp(rule, P, N, lists.scores, lists.g);
    case RankingLoss::kLogistic:
      return Logistic(rule, P, N, lists.scores, lists.g);
    case RankingLoss::kCcl:
      return Ccl(rule, P, N, lists.scores, lists.g);
    case RankingLoss::kSoftmax:
      return Softmax(rule, lists.rows, P, N, lists.scores, lists.g);
  }
  return 0;
}

// How far a row moves along its gradient, of which `square` is the elements' mean square.
float Rate(const RankingRule& rule, const RowMoments& moments, int64_t row, float square) {
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

// Adds g v to the user's gradient, v being the item's row, and moves v against g u + b v.
void PullItem(const RankingRule& rule, const RankingBatch& batch, const Lists& lists, int32_t row,
              float g, float score, float user_square) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  float* v = batch.items + row * batch.stride;
  float* gradient = lists.gradient;
  if (unit) {
    // Of the row as it is now: an earlier pull of this step, or another thread, may have moved it.
    Vec products{}, squares{};
    for (int64_t k = 0; k < batch.stride; k += kLanes) {
      const Vec old = LoadShared(v + k);
      products += Load(batch.user + k) * old;
      squares += old * old;
    }
    score = Sum(products) * RootInverse(Sum(squares));
  }
  // On the sphere only the part of the gradient across the row counts.
  const float b = unit ? -g * score : rule.regularization;
  const float across = 1.0f - score * score;  // rounding may take it below zero
  const float square = g * g *
                       (!unit           ? user_square
                        : across > 0.0f ? across
                                        : 0.0f) /
                       static_cast<float>(rule.factors);
  const float rate = Rate(rule, batch.item_moments, row, square);
  if (rule.optimizer == Optimizer::kAdam) {
    float* mean = batch.item_moments.means + row * batch.stride;
    Vec length{};
    for (int64_t k = 0; k < batch.stride; k += kLanes) {
      const Vec old = LoadShared(v + k), u = Load(batch.user + k);
      Store(gradient + k, Load(gradient + k) + g * old);
      const Vec m = kAdamMean * LoadShared(mean + k) + (1.0f - kAdamMean) * (g * u + b * old);
      const Vec moved = old - rate * m;
      StoreShared(mean + k, m);
      StoreShared(v + k, moved);
      length += moved * moved;
    }
    if (!unit) return;
    const float inverse = RootInverse(Sum(length));
    for (int64_t k = 0; k < batch.stride; k += kLanes) {
      StoreShared(v + k, inverse * LoadShared(v + k));
    }
    return;
  }
  float keep = 1.0f - rate * b, move = rate * g;
  if (unit) {
    // |keep v - move u|, where both have length 1 and their product is the score.
    const float length = keep * keep + move * move - 2.0f * keep * move * score;
    const float inverse = RootInverse(length > 1e-12f ? length : 1e-12f);
    keep *= inverse;
    move *= inverse;
  }
  for (int64_t k = 0; k < batch.stride; k += kLanes) {
    const Vec old = LoadShared(v + k);
    Store(gradient + k, Load(gradient + k) + g * old);
    StoreShared(v + k, keep * old - move * Load(batch.user + k));
  }
}

// Moves everything that a step's scores depend on. A row listed twice moves twice, by derivatives
// at the same place.
void Move(const RankingRule& rule, const RankingBatch& batch, const Lists& lists, int64_t P,
          int64_t N) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = batch.stride;
  float* gradient = lists.gradient;
  const float user_square = rule.optimizer == Optimizer::kSgd || unit
                                ? 1.0f
                                : Dot(batch.user, batch.user, stride) - 1.0f;  // the bias's
  for (int64_t k = 0; k < stride; k += kLanes) Store(gradient + k, Vec{});
  float radial = 0;
  for (int64_t c = 0; c < P + N; ++c) {
    const float g = lists.g[c];
    if (g == 0.0f) continue;
    radial += g * lists.scores[c];
    if (rule.move_items && batch.derivatives == nullptr) {
      PullItem(rule, batch, lists, lists.rows[c], g, lists.scores[c], user_square);
    } else {
      const float* v = batch.items + lists.rows[c] * stride;
      for (int64_t k = 0; k < stride; k += kLanes) {
        Store(gradient + k, Load(gradient + k) + g * Load(v + k));
      }
    }
  }
  const float b = unit ? -radial : rule.regularization * static_cast<float>(P);
  Vec square{};
  for (int64_t k = 0; k < stride; k += kLanes) {
    const Vec g = Load(gradient + k) + b * Load(batch.user + k);
    Store(gradient + k, g);
    square += g * g;
  }
  MoveRow(rule, batch.user, stride, batch.user_moments, batch.user_row, gradient,
          MeanSquare(rule, gradient, Sum(square)), unit);
  if (rule.bias_column >= 0) batch.user[rule.bias_column] = 1.0f;
}

void Run(const RankingRule& rule, RankingBatch* b) {
  const int64_t m = rule.negatives, size = rule.rows_a_step();
  const Lists lists = ListsIn(b->scratch, size);
  b->loss = 0;
  b->failed = -1;
  for (int64_t step = 0, first = 0; first < b->count; ++step, first += rule.batch) {
    const int64_t left = b->count - first;
    const int64_t P = left < rule.batch ? left : rule.batch;
    // The rows of the next step are on their way while this one is worked on.
    for (int64_t p = first + P; p < b->count && p < first + P + rule.batch; ++p) {
      Prefetch(*b, b->positives[p]);
    }
    if (left > P) {
      for (int64_t c = (step + 1) * m; c < (step + 2) * m; ++c) {
        if (b->negatives[c] >= 0) Prefetch(*b, b->negatives[c]);
      }
    }
    for (int64_t p = 0; p < P; ++p) lists.rows[p] = b->positives[first + p];
    int64_t N = 0;
    for (int64_t c = 0; c < m; ++c) {
      const int32_t row = b->negatives[step * m + c];
      if (row < 0) continue;
      lists.places[N] = static_cast<int32_t>(rule.batch + c);
      lists.rows[P + N++] = row;
    }
    if (b->derivatives != nullptr) {
      float* user = b->users + step * b->stride;
      for (int64_t k = 0; k < b->stride; k += kLanes) Store(user + k, Load(b->user + k));
      for (int64_t c = 0; c < size; ++c) b->derivatives[step * size + c] = 0.0f;
    }
    if (N == 0) continue;  // every draw was a positive of the user's
    Score(*b, lists.rows, P + N, lists.scores);
    const float loss = Differentiate(rule, lists, P, N);
    if (!IsFinite(loss)) {
      b->failed = first;
      return;
    }
    if (b->derivatives != nullptr) {
      float* out = b->derivatives + step * size;
      for (int64_t p = 0; p < P; ++p) out[p] = lists.g[p];
      for (int64_t c = 0; c < N; ++c) out[lists.places[c]] = lists.g[P + c];
    }
    Move(rule, *b, lists, P, N);
    b->loss += loss;
  }
}

void MoveItem(const RankingRule& rule, const RankingBatch& batch, int64_t row,
              const ItemPull* pulls, int64_t count) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = batch.stride;
  float* v = batch.items + row * stride;
  float* gradient = ListsIn(batch.scratch, rule.rows_a_step()).gradient;
  for (int64_t k = 0; k < stride; k += kLanes) Store(gradient + k, Vec{});
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t k = 0; k < stride; k += kLanes) {
      Store(gradient + k, Load(gradient + k) + pulls[p].derivative * Load(pulls[p].user + k));
    }
  }
  const float b =
      unit ? -Dot(gradient, v, stride) : rule.regularization * static_cast<float>(count);
  Vec square{};
  for (int64_t k = 0; k < stride; k += kLanes) {
    const Vec g = Load(gradient + k) + b * Load(v + k);
    Store(gradient + k, g);
    square += g * g;
  }
  MoveRow(rule, v, stride, batch.item_moments, row, gradient,
          MeanSquare(rule, gradient, Sum(square)), unit);
}

void Normalize(float* table, int64_t rows, int64_t stride) {
  for (int64_t i = 0; i < rows; ++i) {
    float* row = table + i * stride;
    Vec square{};
    for (int64_t k = 0; k < stride; k += kLanes) square += Load(row + k) * Load(row + k);
    const float total = Sum(square);
    if (!(total > 0.0f)) continue;
    const float inverse = RootInverse(total);
    for (int64_t k = 0; k < stride; k += kLanes) Store(row + k, inverse * Load(row + k));
  }
}

}  // namespace

extern const RankingBatchKernels PENCHANT_ISA_SYMBOL(kRankingBatchKernels);
const RankingBatchKernels PENCHANT_ISA_SYMBOL(kRankingBatchKernels) = {Run, MoveItem, Normalize};

}  // namespace penchant
