// Gram matrix of a tall table: G = Y'Y.
#ifndef PENCHANT_KERNELS_LINALG_GRAM_H_
#define PENCHANT_KERNELS_LINALG_GRAM_H_

#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// Returns the full symmetric Y'Y (cols x cols, row-major, double). Products are float32 within
// blocks of rows whose bounds depend on the shape alone; block sums are added in double in block
// order: the same bits for any number of threads. REQUIRES: zero padding columns.
std::vector<double> Gram(Context& context, MatrixView<const float> table);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_GRAM_H_
