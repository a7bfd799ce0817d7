#include "kernels/linalg/gram.h"

#include <algorithm>

#include "kernels/base/isa.h"
#include "kernels/base/memory.h"
#include "kernels/cuda_ops.h"
#include "kernels/linalg/gram_panel.h"

namespace penchant {

PENCHANT_DEFINE_SELECTED(AccumulateGramKernel, AccumulateGram)

namespace {

// Rows whose products are summed in float32 before they join the double sum.
constexpr int64_t kBlockRows = 4096;

}  // namespace

std::vector<double> Gram(Context& context, MatrixView<const float> table) {
  if (context.cuda()) return context.cuda()->ops()->gram(context, table);
  const int64_t d = table.cols;
  const int64_t stride = table.stride;
  const AccumulateGramKernel accumulate = SelectedAccumulateGram();
  std::vector<double> gram(d * d, 0.0);
  const int64_t num_blocks = (table.rows + kBlockRows - 1) / kBlockRows;
  // A wave of blocks at a time bounds the memory; waves and blocks are added in order.
  const int64_t wave = std::max<int64_t>(2 * context.num_threads(), 1);
  Buffer<float> sums(wave * stride * stride);
  for (int64_t first = 0; first < num_blocks; first += wave) {
    const int64_t count = std::min(wave, num_blocks - first);
    context.ParallelFor(count, [&](int64_t b, int) {
      float* sum = sums.data() + b * stride * stride;
      std::fill(sum, sum + stride * stride, 0.0f);
      const int64_t begin = (first + b) * kBlockRows;
      const int64_t end = std::min(begin + kBlockRows, table.rows);
      for (int64_t row = begin; row < end; row += kPanelRows) {
        accumulate(table.row(row), std::min(kPanelRows, end - row), stride, sum);
      }
    });
    for (int64_t b = 0; b < count; ++b) {
      const float* sum = sums.data() + b * stride * stride;
      for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = i; j < d; ++j) gram[i * d + j] += sum[i * stride + j];
      }
    }
  }
  for (int64_t i = 0; i < d; ++i) {
    for (int64_t j = 0; j < i; ++j) gram[i * d + j] = gram[j * d + i];
  }
  return gram;
}

}  // namespace penchant
