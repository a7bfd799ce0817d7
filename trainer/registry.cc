#include "trainer/registry.h"

#include "kernels/base/errors.h"

namespace penchant {

std::span<const AlgorithmEntry> Registry() {
  static const AlgorithmEntry entries[] = {kAlsEntry, kPopularityEntry, kRankingEntry,
                                           kItem2VecEntry};
  return entries;
}

const AlgorithmEntry& FindAlgorithm(const config::TrainConfig& config) {
  std::string names;
  for (const AlgorithmEntry& entry : Registry()) {
    if (entry.config_case == config.algorithm_case()) return entry;
    names += std::string(names.empty() ? "" : ", ") + entry.name;
  }
  throw InvalidArgument("the config chooses no algorithm; add one of: " + names +
                        " (e.g. \"als {}\")");
}

}  // namespace penchant
