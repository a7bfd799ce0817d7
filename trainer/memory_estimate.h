// What a training run will take in memory, known before it starts.
#ifndef PENCHANT_TRAINER_MEMORY_ESTIMATE_H_
#define PENCHANT_TRAINER_MEMORY_ESTIMATE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "configs/train_config.pb.h"
#include "trainer/algorithm.h"

namespace penchant {

struct MemoryEstimate {
  std::vector<MemoryItem> items;
  int64_t interactions_bytes =
      0;                       // already there when training starts: on the CPU both orientations
  int64_t training_bytes = 0;  // what training adds
  int64_t total() const { return interactions_bytes + training_bytes; }
};

// Memory of the device that trains: the machine's, or with `cuda` the GPU's, which holds all
// interactions or at most `block_bytes` of them at a time. `num_threads` = 0 counts the machine's
// CPUs.
MemoryEstimate EstimateMemory(const config::TrainConfig& config, const ProblemShape& shape,
                              int num_threads, bool cuda = false, int64_t block_bytes = 0);

// Sizes of the blocks in which interactions pass through a GPU that cannot hold them all; the first
// that fits is taken.
inline constexpr int64_t kBlockBytes[] = {256 << 20, 64 << 20, 16 << 20, 1 << 20};

// Bytes this process may still take: the least of what the machine and its cgroup have left.
int64_t AvailableMemory();

// The bytes of "12GB", "800 MiB" or "1000000"; 0 of an empty text. InvalidArgument otherwise.
int64_t ParseBytes(const std::string& text);

// "1.50 GB" and the like.
std::string FormatBytes(int64_t bytes);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_MEMORY_ESTIMATE_H_
