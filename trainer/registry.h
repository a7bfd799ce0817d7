// Every algorithm by name: how to make it, fold into it, and what memory it takes.
#ifndef PENCHANT_TRAINER_REGISTRY_H_
#define PENCHANT_TRAINER_REGISTRY_H_

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "configs/artifact_manifest.pb.h"
#include "trainer/algorithm.h"

namespace penchant {

struct AlgorithmEntry {
  const char* name;  // the oneof field of TrainConfig
  config::TrainConfig::AlgorithmCase config_case;
  // Fills in parameters that the config leaves to the data.
  void (*resolve)(const Interactions& interactions, config::TrainConfig* config);
  std::unique_ptr<Algorithm> (*make)(const config::TrainConfig& config);
  std::unique_ptr<FoldIn> (*make_fold_in)(std::shared_ptr<const Model> model);
  // On the machine, or with `cuda` on the GPU.
  std::vector<MemoryItem> (*estimate)(const config::TrainConfig& config, const ProblemShape& shape,
                                      int num_threads, bool cuda);
  // Whether interactions may visit a CUDA device in blocks.
  bool takes_blocks;
  // Whether it learns from the single events and their times, not from merged interactions alone.
  bool reads_events;
  // Whether the last factor is no taste but a bias of the item, against 1 of every user.
  bool (*has_biases)(const config::TrainConfig& config);
  // Tells readers of a compact artifact how histories become users.
  void (*describe_fold_in)(const config::TrainConfig& config, config::ArtifactManifest* manifest);
};

std::span<const AlgorithmEntry> Registry();

// The entry the config chooses. InvalidArgument when it chooses none.
const AlgorithmEntry& FindAlgorithm(const config::TrainConfig& config);

// Defined one a file in trainer/algorithms.
extern const AlgorithmEntry kAlsEntry;
extern const AlgorithmEntry kPopularityEntry;
extern const AlgorithmEntry kRankingEntry;
extern const AlgorithmEntry kItem2VecEntry;

}  // namespace penchant

#endif  // PENCHANT_TRAINER_REGISTRY_H_
