// Copies chosen rows of a table.
#ifndef PENCHANT_KERNELS_SCORE_GATHER_ROWS_H_
#define PENCHANT_KERNELS_SCORE_GATHER_ROWS_H_

#include <cstdint>

#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// out row i = table row rows[i], whole (padding too); everything on the context's device.
// REQUIRES: equal strides.
void GatherRows(Context& context, MatrixView<const float> table, const int32_t* rows,
                MatrixView<float> out);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SCORE_GATHER_ROWS_H_
