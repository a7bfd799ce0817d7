#include "kernels/sgd/ranking_steps.h"

#include "kernels/base/simd.h"
#include "kernels/sgd/ranking_loss.simd.h"
#include "kernels/sgd/row_moves.simd.h"
#include "kernels/sgd/user_dropout.h"

namespace penchant {
namespace {

// Rows that are scored are on their way this far ahead; those of the next step where they are so
// few that they do not push each other out of the cache.
constexpr int64_t kRowsAhead = 64, kMostPrefetched = 512;

// The lists of a step, in scratch memory. Those of negatives are padded to whole vectors.
struct Lists {
  int32_t* rows;    // item rows: positives, then negatives
  int32_t* places;  // place of each in the step as drawn
  float* scores;
  float* g;         // derivatives of the loss by the scores
  float* gradient;  // of the user's row
  float* seen;      // the user's row without what the step drops
};

PENCHANT_INLINE Lists ListsIn(float* scratch, int64_t rows_a_step, int64_t stride) {
  const int64_t list = (rows_a_step + 31) / 16 * 16;
  return {reinterpret_cast<int32_t*>(scratch),
          reinterpret_cast<int32_t*>(scratch + list),
          scratch + 2 * list,
          scratch + 3 * list,
          scratch + 4 * list,
          scratch + 4 * list + stride};
}

// The user's row as a step sees it: without what is dropped, at length 1.
struct Seen {
  const float* user;
  const float* kept;     // null: the row itself
  float inverse_length;  // of what is kept
};

Seen See(const RankingSteps& b, int64_t step, float* seen) {
  if (b.kept == nullptr) return {b.user, nullptr, 1.0f};
  const float* kept = b.kept + step * b.stride;
  Vec squares{};
  for (int64_t k = 0; k < b.stride; k += kLanes) {
    const Vec x = Load(b.user + k) * Load(kept + k);
    Store(seen + k, x);
    squares += x * x;
  }
  const float square = Sum(squares);
  if (!(square > kLeastSeenSquare)) return {b.user, nullptr, 1.0f};  // NaN too
  const float inverse = RootInverse(square);
  for (int64_t k = 0; k < b.stride; k += kLanes) Store(seen + k, inverse * Load(seen + k));
  return {seen, kept, inverse};
}

void Prefetch(const RankingSteps& b, int32_t row) {
  const auto* p = reinterpret_cast<const char*>(b.items + row * b.stride);
  for (int64_t byte = 0; byte < b.stride * 4; byte += 64) __builtin_prefetch(p + byte, 1);
}

// scores[c] = user . row rows[c]
void Score(const RankingSteps& b, const float* user, const int32_t* rows, int64_t count,
           float* scores) {
  int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
    Vec sums[kLanes] = {};
    const float* row[kLanes];
    for (int i = 0; i < kLanes; ++i) row[i] = b.items + rows[c + i] * b.stride;
    for (int64_t a = c + kRowsAhead; a < c + kRowsAhead + kLanes && a < count; ++a) {
      Prefetch(b, rows[a]);
    }
    for (int64_t k = 0; k < b.stride; k += kLanes) {
      const Vec u = Load(user + k);
      for (int i = 0; i < kLanes; ++i) sums[i] += u * LoadShared(row[i] + k);
    }
    const Vec all = SumLanes(sums);
    for (int p = 0; p < kLanes; ++p) scores[c + SumSlot(p)] = all[p];
  }
  for (; c < count; ++c) scores[c] = Dot(user, b.items + rows[c] * b.stride, b.stride);
}

// Adds g v to the user's gradient, v being the item's row, and moves v against g u + b v.
void PullItem(const RankingRule& rule, const RankingSteps& batch, const Lists& lists,
              const float* user, int32_t row, float g, float score, float user_square) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  float* v = batch.items + row * batch.stride;
  float* gradient = lists.gradient;
  if (unit) {
    // Of the row as it is now: an earlier pull of this step, or another thread, may have moved it.
    Vec products{}, squares{};
    for (int64_t k = 0; k < batch.stride; k += kLanes) {
      const Vec old = LoadShared(v + k);
      products += Load(user + k) * old;
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
      const Vec old = LoadShared(v + k), u = Load(user + k);
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
    StoreShared(v + k, keep * old - move * Load(user + k));
  }
}

// Moves everything that a step's scores depend on. A row listed twice moves twice, by derivatives
// at the same place.
void Move(const RankingRule& rule, const RankingSteps& batch, const Lists& lists, const Seen& seen,
          int64_t P, int64_t N) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = batch.stride;
  float* gradient = lists.gradient;
  float user_square = 1.0f;
  if (rule.optimizer != Optimizer::kSgd && !unit) {
    user_square = Dot(batch.user, batch.user, stride);
    if (rule.bias_column >= 0) user_square -= 1.0f;  // the constant's
  }
  for (int64_t k = 0; k < stride; k += kLanes) Store(gradient + k, Vec{});
  float radial = 0;
  for (int64_t c = 0; c < P + N; ++c) {
    const float g = lists.g[c];
    if (g == 0.0f) continue;
    radial += g * lists.scores[c];
    if (rule.move_items && batch.derivatives == nullptr) {
      PullItem(rule, batch, lists, seen.user, lists.rows[c], g, lists.scores[c], user_square);
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
    Vec g = Load(gradient + k) + b * Load(seen.user + k);
    if (seen.kept != nullptr) g *= seen.inverse_length * Load(seen.kept + k);
    Store(gradient + k, g);
    square += g * g;
  }
  MoveRow(rule, batch.user, stride, batch.user_moments, batch.user_row, gradient,
          MeanSquare(rule, gradient, Sum(square)), unit);
  if (rule.bias_column >= 0) batch.user[rule.bias_column] = 1.0f;
}

void Run(const RankingRule& rule, RankingSteps* b) {
  const int64_t m = rule.negatives, size = rule.rows_a_step();
  const Lists lists = ListsIn(b->scratch, size, b->stride);
  b->loss = 0;
  b->failed = -1;
  for (int64_t step = 0, first = 0; first < b->count; ++step, first += rule.batch) {
    const int64_t left = b->count - first;
    const int64_t P = left < rule.batch ? left : rule.batch;
    // The rows of the next step are on their way while this one is worked on.
    for (int64_t p = first + P; p < b->count && p < first + P + rule.batch; ++p) {
      Prefetch(*b, b->positives[p]);
    }
    if (left > P && m <= kMostPrefetched) {
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
    const Seen seen = See(*b, step, lists.seen);
    if (b->derivatives != nullptr) {
      float* user = b->users + step * b->stride;
      for (int64_t k = 0; k < b->stride; k += kLanes) Store(user + k, Load(seen.user + k));
      for (int64_t c = 0; c < size; ++c) b->derivatives[step * size + c] = 0.0f;
    }
    if (N == 0) continue;  // every draw was a positive of the user's
    Score(*b, seen.user, lists.rows, P + N, lists.scores);
    const float loss = Differentiate(rule, lists.rows, P, N, lists.scores, lists.g);
    if (!IsFinite(loss)) {
      b->failed = first;
      return;
    }
    if (b->derivatives != nullptr) {
      float* out = b->derivatives + step * size;
      for (int64_t p = 0; p < P; ++p) out[p] = lists.g[p];
      for (int64_t c = 0; c < N; ++c) out[lists.places[c]] = lists.g[P + c];
    }
    Move(rule, *b, lists, seen, P, N);
    b->loss += loss;
  }
}

void MoveItem(const RankingRule& rule, const RankingSteps& batch, int64_t row,
              const ItemPull* pulls, int64_t count) {
  const bool unit = rule.loss == RankingLoss::kCcl;
  const int64_t stride = batch.stride;
  float* v = batch.items + row * stride;
  float* gradient = ListsIn(batch.scratch, rule.rows_a_step(), stride).gradient;
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

}  // namespace

extern const RankingStepKernels PENCHANT_ISA_SYMBOL(kRankingStepKernels);
const RankingStepKernels PENCHANT_ISA_SYMBOL(kRankingStepKernels) = {Run, MoveItem};

}  // namespace penchant
