#include "trainer/memory_estimate.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include "kernels/base/errors.h"
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
                              int num_threads, bool cuda, int64_t block_bytes) {
  if (num_threads == 0) num_threads = std::max(1u, std::thread::hardware_concurrency());
  MemoryEstimate estimate;
  const int64_t entry = 4 + (shape.weighted ? 4 : 0);
  const int64_t interactions = 2 * shape.nnz * entry + (shape.num_users + shape.num_items) * 8;
  if (block_bytes > 0) {
    // Offsets of both orientations stay; one of them at a time has two buffers.
    const int64_t buffer = std::max(block_bytes, LongestRow(shape) * entry);
    estimate.items.push_back(
        {"interactions, passing through in blocks",
         2 * std::min(buffer, shape.nnz * entry) + (shape.num_users + shape.num_items) * 2 * 8});
  } else {
    estimate.items.push_back({"interactions, by user and by item", interactions});
    if (cuda) {
      // Keys and entries, twice each: the sort's in and out.
      estimate.items.push_back({"turning the interactions round", shape.nnz * 2 * (4 + 8)});
    } else {
      estimate.interactions_bytes = interactions;
    }
  }
  const auto algorithm = FindAlgorithm(config).estimate(config, shape, num_threads, cuda);
  estimate.items.insert(estimate.items.end(), algorithm.begin(), algorithm.end());
  if (config.early_stopping().validation_fraction() > 0) {
    if (cuda) {
      // A tile of scores, lists and exclusions; the best tables so far are on the host.
      estimate.items.push_back({"evaluation", (int64_t{160} << 20) + shape.nnz * 4});
    } else {
      int64_t tables = 0;
      for (const MemoryItem& item : algorithm) {
        if (std::string(item.what).find("factors") != std::string::npos) tables += item.bytes;
      }
      // The best tables so far, and the items packed for scoring (at most another table).
      estimate.items.push_back({"best model so far and evaluation", 2 * tables});
      estimate.items.push_back({"training and validation parts", interactions});
    }
  }
  for (const MemoryItem& item : estimate.items) estimate.training_bytes += item.bytes;
  estimate.training_bytes -= estimate.interactions_bytes;
  return estimate;
}

int64_t ParseBytes(const std::string& text) {
  if (text.empty()) return 0;
  double amount = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, amount);
  const std::string unit(std::find_if(stop, end, [](char c) { return c != ' '; }), end);
  const std::pair<const char*, double> units[] = {
      {"", 1},      {"B", 1},        {"kB", 1e3},     {"KB", 1e3},     {"MB", 1e6},    {"GB", 1e9},
      {"TB", 1e12}, {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  for (const auto& [name, bytes] : units) {
    if (error == std::errc() && unit == name && amount > 0 && amount * bytes < 0x1p62) {
      return static_cast<int64_t>(amount * bytes);
    }
  }
  throw InvalidArgument(
      "memory_budget must be a positive amount such as \"12GB\" or \"800MiB\"; got \"" + text +
      "\"");
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
