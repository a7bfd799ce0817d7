// The ALS objective at given factors.
#ifndef PENCHANT_KERNELS_ALS_LOSS_H_
#define PENCHANT_KERNELS_ALS_LOSS_H_

#include "kernels/als/solve_rows.h"
#include "kernels/base/context.h"
#include "kernels/base/view.h"
#include "kernels/sparse/csr_blocks.h"

namespace penchant {

// The objective of solve_rows.h, summed in double in a fixed order, that of the rows. The sum over
// unobserved pairs is trace(X'X Y'Y) less its observed part, so the cost is O(nnz d + (U + I) d^2).
// REQUIRES: zero padding columns.
double AlsLoss(Context& context, const AlsObjective& objective, MatrixView<const float> users,
               MatrixView<const float> items, const CsrBlocks& user_items,
               const CsrBlocks& item_users);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_LOSS_H_
