// The order in which the rows of half an ALS iteration are solved, and how they are handed out.
#ifndef PENCHANT_KERNELS_ALS_ROW_PLAN_H_
#define PENCHANT_KERNELS_ALS_ROW_PLAN_H_

#include <cstdint>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

inline constexpr int64_t kChunkObservations = 4096;  // of a row that one CUDA block sums

// Whether a row of n observations is solved on its short side, which is cheaper by flops; taking
// the long side from 0.85 factors on measured no faster.
inline bool IsShortSide(int64_t n, int64_t factors) { return n <= factors; }

// Rows that the CUDA twin solves with one launch: [begin, end) of a plan's order.
struct CudaRowPart {
  int64_t begin = 0;
  int64_t end = 0;
  int64_t longest = 0;  // observations of the longest of them
  bool short_side = true;
  bool in_chunks = false;  // rows so long that several blocks share one
};

// A stretch of the observations of one very long row, for a block of its own.
struct RowChunk {
  int32_t row = 0;
  int32_t count = 0;
  int64_t first = 0;  // observation within the row
};

struct CudaRowPlan {
  DeviceBuffer<int32_t> order;       // by falling length
  int64_t first_empty = 0;           // from there on rows have no observations
  std::vector<CudaRowPart> parts;    // of those that have some
  std::vector<int64_t> chunk_begin;  // of row order[k]: chunks [chunk_begin[k], chunk_begin[k + 1])
  DeviceBuffer<RowChunk> chunks;
  DeviceBuffer<int64_t> chunk_begin_on_device;
};

// The order in which a sparse matrix's rows are solved: by falling number of observations, so
// that the rows of a batch are alike. Depends on the matrix and the number of factors alone.
class RowPlan {
 public:
  // Reads the lengths of `rows` alone. `first_row` is what messages call its first one.
  RowPlan(Context& context, const CsrView& rows, int64_t factors, int64_t first_row = 0);

  int64_t first_row() const { return first_row_; }

  // The CPU's order, and its work units: rows [unit_begin[k], unit_begin[k + 1]) of it.
  const std::vector<int32_t>& order() const { return order_; }
  const std::vector<int64_t>& unit_begin() const { return unit_begin_; }
  int64_t longest() const { return longest_; }

  const CudaRowPlan& cuda() const { return cuda_; }

 private:
  int64_t first_row_ = 0;
  std::vector<int32_t> order_;
  std::vector<int64_t> unit_begin_;
  int64_t longest_ = 0;
  CudaRowPlan cuda_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_ROW_PLAN_H_
