// Means of table rows, as a sparse matrix lists them.
#ifndef PENCHANT_KERNELS_SPARSE_AVERAGE_ROWS_H_
#define PENCHANT_KERNELS_SPARSE_AVERAGE_ROWS_H_

#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// out_i = mean of the rows j of `table` with lists_ij > 0 (all listed, where there are no values);
// zero where there are none. Shapes: lists n x m, table m x d, out n x d; all on the context's
// device. Throws InvalidArgument on others.
void AverageRows(Context& context, const CsrView& lists, MatrixView<const float> table,
                 MatrixView<float> out);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SPARSE_AVERAGE_ROWS_H_
