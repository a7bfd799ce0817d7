// Rows scaled to length 1.
#ifndef PENCHANT_KERNELS_LINALG_NORMALIZE_ROWS_H_
#define PENCHANT_KERNELS_LINALG_NORMALIZE_ROWS_H_

#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// Scales the rows of `table`, on the context's device, to length 1; rows of zeros stay.
void NormalizeRows(Context& context, MatrixView<float> table);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_NORMALIZE_ROWS_H_
