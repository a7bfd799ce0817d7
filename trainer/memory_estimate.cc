#include "trainer/memory_estimate.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "trainer/registry.h"

namespace penchant {
namespace {

// The first integer in a one-value file; -1 when there is none ("max").
int64_t ReadInteger(const char* path) {
  std::ifstream file(path);
  int64_t value = -1;
  return file >> value ? value : -1;
}

}  // namespace

MemoryEstimate EstimateMemory(const config::TrainConfig& config, const ProblemShape& shape,
                              int num_threads) {
  if (num_threads == 0) num_threads = std::max(1u, std::thread::hardware_concurrency());
  MemoryEstimate estimate;
  const int64_t entry = 4 + (shape.weighted ? 4 : 0);
  estimate.items.push_back({"interactions, by user and by item",
                            2 * shape.nnz * entry + (shape.num_users + shape.num_items) * 8});
  estimate.interactions_bytes = estimate.items[0].bytes;
  const auto algorithm = FindAlgorithm(config).estimate(config, shape, num_threads);
  estimate.items.insert(estimate.items.end(), algorithm.begin(), algorithm.end());
  if (config.early_stopping().validation_fraction() > 0) {
    int64_t tables = 0;
    for (const MemoryItem& item : algorithm) {
      if (std::string(item.what).find("factors") != std::string::npos) tables += item.bytes;
    }
    // The best tables so far, and the items packed for scoring (at most another table).
    estimate.items.push_back({"best model so far and evaluation", 2 * tables});
    estimate.items.push_back({"training and validation parts", estimate.interactions_bytes});
  }
  for (size_t i = 1; i < estimate.items.size(); ++i) {
    estimate.training_bytes += estimate.items[i].bytes;
  }
  return estimate;
}

int64_t AvailableMemory() {
  int64_t available = std::numeric_limits<int64_t>::max();
  std::ifstream meminfo("/proc/meminfo");
  for (std::string line; std::getline(meminfo, line);) {
    long long kilobytes = 0;
    if (std::sscanf(line.c_str(), "MemAvailable: %lld kB", &kilobytes) == 1) {
      available = kilobytes * 1024;
    }
  }
  const int64_t limit = ReadInteger("/sys/fs/cgroup/memory.max");
  const int64_t used = ReadInteger("/sys/fs/cgroup/memory.current");
  if (limit > 0 && used >= 0) available = std::min(available, std::max<int64_t>(0, limit - used));
  return available;
}

std::string FormatBytes(int64_t bytes) {
  const char* units[] = {"bytes", "kB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1000 && unit < 4) {
    value /= 1000;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

}  // namespace penchant
