#include "kernels/als/loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/base/errors.h"
#include "kernels/base/memory.h"
#include "kernels/cuda_ops.h"
#include "kernels/linalg/gram.h"

namespace penchant {
namespace {

constexpr int64_t kBlockRows = 512;

// a . b of padded rows, in so many sums side by side that none waits for itself.
double Dot(const float* a, const float* b, int64_t stride) {
  constexpr int kSums = 8;
  static_assert(kRowPadding % kSums == 0);
  double sums[kSums] = {};
  for (int64_t k = 0; k < stride; k += kSums) {
    for (int s = 0; s < kSums; ++s) sums[s] += double{a[k + s]} * b[k + s];
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

// sum_rows lambda_row |row|^2
double RegularizationTerm(const AlsObjective& objective, MatrixView<const float> table,
                          const CsrView& observations) {
  double total = 0;
  for (int64_t i = 0; i < table.rows; ++i) {
    const double square = Dot(table.row(i), table.row(i), table.stride);
    total += objective.RowRegularization(observations.row_size(i), observations.cols) * square;
  }
  return total;
}

}  // namespace

double AlsLoss(Context& context, const AlsObjective& objective, MatrixView<const float> users,
               MatrixView<const float> items, const CsrBlocks& user_blocks,
               const CsrBlocks& item_blocks) {
  PENCHANT_REQUIRE(users.rows == user_blocks.rows() && items.rows == item_blocks.rows(),
                   "AlsLoss: factors and interactions differ in shape");
  if (context.cuda()) {
    return context.cuda()->ops()->als_loss(context, objective, users, items, user_blocks,
                                           item_blocks);
  }
  // Whole, on the CPU.
  const CsrView user_items = user_blocks.shape(0), item_users = item_blocks.shape(0);
  const double w0 = objective.unobserved_weight;
  const int64_t num_blocks = (users.rows + kBlockRows - 1) / kBlockRows;
  std::vector<double> observed(num_blocks, 0.0);
  context.ParallelFor(num_blocks, [&](int64_t block, int) {
    const int64_t end = std::min(users.rows, (block + 1) * kBlockRows);
    for (int64_t u = block * kBlockRows; u < end; ++u) {
      const auto ids = user_items.row_indices(u);
      const float* values = user_items.row_values(u);
      for (size_t j = 0; j < ids.size(); ++j) {
        const double score = Dot(users.row(u), items.row(ids[j]), users.stride);
        const double r = values ? values[j] : 1.0;
        const double preference = r > 0 ? 1.0 : 0.0;
        const double confidence = w0 + objective.alpha * std::abs(r);
        observed[block] +=
            confidence * (preference - score) * (preference - score) - w0 * score * score;
      }
    }
  });
  double loss = 0;
  for (double block : observed) loss += block;
  if (w0 > 0) {
    const std::vector<double> user_gram = Gram(context, users);
    const std::vector<double> item_gram = Gram(context, items);
    double trace = 0;
    for (size_t i = 0; i < user_gram.size(); ++i) trace += user_gram[i] * item_gram[i];
    loss += w0 * trace;
  }
  return loss + RegularizationTerm(objective, users, user_items) +
         RegularizationTerm(objective, items, item_users);
}

}  // namespace penchant
