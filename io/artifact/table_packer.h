// Packing factors: from float32 rows to a PackedTable.
#ifndef PENCHANT_IO_ARTIFACT_TABLE_PACKER_H_
#define PENCHANT_IO_ARTIFACT_TABLE_PACKER_H_

#include <span>
#include <string>

#include "io/artifact/packed_table.h"
#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// Packs row order[i] of `table` as row i. int4's scales are the best of several in squared error;
// pq's centroids come from k-means over at most 16,384 rows, per group of `pq_width` factors.
// Throws InvalidArgument, naming `what`, for numbers that are not finite or do not fit float16.
PackedTable PackTable(Context& context, MatrixView<const float> table,
                      std::span<const int32_t> order, FactorType type, const std::string& what);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_TABLE_PACKER_H_
