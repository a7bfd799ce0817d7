#include "kernels/sparse/csr_blocks.h"

#include <algorithm>
#include <cstring>

namespace penchant {
namespace {

constexpr int64_t kCopyBytes = int64_t{1} << 20;  // a worker copies at a time

int64_t EntryBytes(const CsrView& matrix) {
  return static_cast<int64_t>(sizeof(int32_t)) +
         (matrix.values != nullptr ? static_cast<int64_t>(sizeof(float)) : 0);
}

void ParallelCopy(Context& context, const void* from, int64_t bytes, void* to) {
  context.ParallelFor((bytes + kCopyBytes - 1) / kCopyBytes, [&](int64_t part, int) {
    const int64_t begin = part * kCopyBytes;
    std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                static_cast<size_t>(std::min(kCopyBytes, bytes - begin)));
  });
}

}  // namespace

CsrBlocks::CsrBlocks(DeviceCsr whole) : whole_(std::move(whole)) {
  Block block;
  block.nnz = whole_.nnz();
  block.shape = whole_.view();
  blocks_.push_back(std::move(block));
}

CsrBlocks::CsrBlocks(Context& context, const CsrView& host, int64_t block_bytes) {
  if (block_bytes == 0 || !context.cuda() || host.nnz() * EntryBytes(host) <= block_bytes) {
    *this = CsrBlocks(DeviceCsr(context, host));
    return;
  }
  host_ = host;
  in_turns_ = true;
  const int64_t most = block_bytes / EntryBytes(host);
  std::vector<int64_t> offsets;
  for (int64_t first = 0; first < host.rows;) {
    int64_t end = first + 1;
    while (end < host.rows && host.offsets[end + 1] - host.offsets[first] <= most) ++end;
    offsets.assign(host.offsets + first, host.offsets + end + 1);
    for (int64_t& offset : offsets) offset -= host.offsets[first];
    Block block;
    block.first_row = first;
    block.nnz = offsets.back();
    block.offsets = Upload<int64_t>(context, offsets);
    block.shape = {end - first, host.cols, block.offsets.data(), nullptr, nullptr};
    blocks_.push_back(std::move(block));
    first = end;
  }
}

// Two buffers on the device, and as many of pinned memory that their contents pass through. Block b
// takes buffer b % 2 when the work on block b - 2 is done.
class CsrBlocks::Turns {
 public:
  Turns(Context& context, const CsrBlocks& blocks)
      : context_(context), device_(*context.cuda()), blocks_(blocks) {
    int64_t most = 0;
    for (const Block& block : blocks.blocks_) most = std::max(most, block.nnz);
    for (Buffer& buffer : buffers_) {
      buffer.indices = DeviceBuffer<int32_t>(context, most);
      buffer.values = DeviceBuffer<float>(context, blocks.host_.values != nullptr ? most : 0);
      buffer.pinned = device_.PinnedMemory(most * EntryBytes(blocks.host_));
      buffer.worked = device_.MarkWork();  // has its memory
    }
  }
  // Copies still under way use memory that goes back now.
  ~Turns() {
    for (Buffer& buffer : buffers_) {
      if (buffer.copied) device_.WaitOnHost(buffer.copied);
    }
  }
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  // Sends block b on its way.
  void Send(int64_t b) {
    Buffer& buffer = buffers_[b % 2];
    const Block& block = blocks_.blocks_[b];
    const CsrView& host = blocks_.host_;
    const int64_t begin = host.offsets[block.first_row];
    const int64_t index_bytes = block.nnz * static_cast<int64_t>(sizeof(int32_t));
    if (buffer.copied) device_.WaitOnHost(buffer.copied);
    char* pinned = static_cast<char*>(buffer.pinned.get());
    ParallelCopy(context_, host.indices + begin, index_bytes, pinned);
    device_.CopiesWaitFor(buffer.worked);
    device_.CopyBeside(buffer.indices.data(), pinned, index_bytes);
    if (host.values != nullptr) {
      const int64_t value_bytes = block.nnz * static_cast<int64_t>(sizeof(float));
      ParallelCopy(context_, host.values + begin, value_bytes, pinned + index_bytes);
      device_.CopyBeside(buffer.values.data(), pinned + index_bytes, value_bytes);
    }
    buffer.copied = device_.MarkCopies();
  }

  // Lets the work that `visit` puts on the device use block b.
  void Use(int64_t b, const Visit& visit) {
    Buffer& buffer = buffers_[b % 2];
    CsrView rows = blocks_.blocks_[b].shape;
    rows.indices = buffer.indices.data();
    rows.values = buffer.values.size() > 0 ? buffer.values.data() : nullptr;
    device_.WorkWaitsFor(buffer.copied);
    visit(b, rows);
    buffer.worked = device_.MarkWork();
  }

 private:
  struct Buffer {
    DeviceBuffer<int32_t> indices;
    DeviceBuffer<float> values;
    std::shared_ptr<void> pinned;
    CudaMark copied, worked;
  };

  Context& context_;
  CudaDevice& device_;
  const CsrBlocks& blocks_;
  Buffer buffers_[2];
};

void CsrBlocks::ForEach(Context& context, const Visit& visit) const {
  if (!in_turns_) {
    for (int64_t b = 0; b < num_blocks(); ++b) visit(b, blocks_[b].shape);
    return;
  }
  Turns turns(context, *this);
  turns.Send(0);
  for (int64_t b = 0; b < num_blocks(); ++b) {
    context.Poll();
    turns.Use(b, visit);
    if (b + 1 < num_blocks()) turns.Send(b + 1);
  }
}

}  // namespace penchant
