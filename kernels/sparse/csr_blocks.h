// A sparse matrix of host memory whose rows visit the context's device: all at once and for good
// where they fit, else in blocks that take turns in two buffers.
#ifndef PENCHANT_KERNELS_SPARSE_CSR_BLOCKS_H_
#define PENCHANT_KERNELS_SPARSE_CSR_BLOCKS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/view.h"

namespace penchant {

class CsrBlocks {
 public:
  CsrBlocks() = default;
  // One block, on the device already.
  explicit CsrBlocks(DeviceCsr whole);
  // `host` outlives this. 0 `block_bytes`, and the CPU, keep the whole matrix on the device as one
  // block. Else, blocks of consecutive rows hold at most `block_bytes` of indices and values (a row
  // beyond that is a block of its own) and come to the device when they are visited; only the
  // offsets stay there.
  CsrBlocks(Context& context, const CsrView& host, int64_t block_bytes = 0);

  int64_t rows() const { return blocks_.back().first_row + blocks_.back().shape.rows; }
  int64_t num_blocks() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t first_row(int64_t block) const { return blocks_[block].first_row; }
  // The block's rows, on the device. When blocks take turns, offsets alone: indices and values are
  // null.
  const CsrView& shape(int64_t block) const { return blocks_[block].shape; }

  // Calls visit(block, rows) for every block in order. `rows` may be used by work that visit puts
  // on the device. The next block is on its way meanwhile. Polls the context.
  using Visit = std::function<void(int64_t block, const CsrView& rows)>;
  void ForEach(Context& context, const Visit& visit) const;

 private:
  struct Block {
    int64_t first_row = 0;
    int64_t nnz = 0;
    CsrView shape;
    DeviceBuffer<int64_t> offsets;
  };
  class Turns;

  DeviceCsr whole_;
  CsrView host_;
  bool in_turns_ = false;
  std::vector<Block> blocks_;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SPARSE_CSR_BLOCKS_H_
