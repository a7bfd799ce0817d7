// The innermost part of Gram matrices: one panel of rows.
#ifndef PENCHANT_KERNELS_LINALG_GRAM_PANEL_H_
#define PENCHANT_KERNELS_LINALG_GRAM_PANEL_H_

#include <cstdint>

namespace penchant {

// Rows of a panel at a time: what stays in the caches while tile after tile passes over it.
inline constexpr int64_t kPanelRows = 256;

// upper(gram) += panel' panel, dense row-major stride x stride, for `count` panel rows of `stride`
// floats, 64-byte aligned. Works in tiles: entries below the diagonal inside diagonal tiles are
// written too.
using AccumulateGramKernel = void (*)(const float* panel, int64_t count, int64_t stride,
                                      float* gram);

const AccumulateGramKernel& SelectedAccumulateGram();

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_GRAM_PANEL_H_
