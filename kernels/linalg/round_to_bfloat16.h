// A table in bfloat16's precision.
#ifndef PENCHANT_KERNELS_LINALG_ROUND_TO_BFLOAT16_H_
#define PENCHANT_KERNELS_LINALG_ROUND_TO_BFLOAT16_H_

#include "kernels/base/bfloat16.h"
#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// Rounds the elements of `table`, on the context's device, to the nearest bfloat16, ties to even.
// `packed`: null, or room for table.rows * table.stride of them, which are written there as well.
// REQUIRES: no NaN.
void RoundToBfloat16(Context& context, MatrixView<float> table, Bfloat16* packed);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_ROUND_TO_BFLOAT16_H_
