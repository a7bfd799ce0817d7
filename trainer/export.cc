#include "trainer/export.h"

#include <filesystem>

#include "io/artifact/delta.h"
#include "trainer/registry.h"

namespace penchant {

void ExportModel(Context& context, const Model& model, const ArtifactOptions& options,
                 const std::string& path, const std::string& since) {
  const config::TrainConfig& config = model.manifest.config();
  const AlgorithmEntry& algorithm = FindAlgorithm(config);
  config::ArtifactManifest manifest;
  manifest.set_penchant_version(PENCHANT_VERSION);
  manifest.set_has_biases(algorithm.has_biases(config));
  algorithm.describe_fold_in(config, &manifest);
  if (since.empty()) {
    WriteArtifact(context, model, options, std::move(manifest), path);
    return;
  }
  // The whole artifact, for as long as the difference takes.
  struct Whole {
    std::string path;
    ~Whole() {
      std::error_code ignored;
      std::filesystem::remove(path, ignored);
    }
  } whole{path + ".whole"};
  WriteArtifact(context, model, options, std::move(manifest), whole.path);
  WriteDelta(since, whole.path, path);
}

}  // namespace penchant
