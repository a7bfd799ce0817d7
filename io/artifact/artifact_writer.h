// From a trained model to a compact artifact.
#ifndef PENCHANT_IO_ARTIFACT_ARTIFACT_WRITER_H_
#define PENCHANT_IO_ARTIFACT_ARTIFACT_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "configs/artifact_manifest.pb.h"
#include "io/artifact/packed_table.h"
#include "io/model/model.h"
#include "kernels/base/context.h"

namespace penchant {

// Per-item data, by the model's item rows.
struct ItemAttribute {
  std::string name;
  std::vector<int32_t> codes;  // -1: no value
};
struct ItemRule {
  config::BusinessRule rule;
  std::vector<uint8_t> denied;  // one byte an item, not zero: denied
};

struct ArtifactOptions {
  FactorType dtype = FactorType::kFloat32;
  std::string kind = "full";  // "full", "items" or "users"
  std::vector<ItemAttribute> attributes = {};
  std::vector<ItemRule> rules = {};
};

// Writes the file atomically. `manifest` tells penchant_version, has_biases and fold_in; the rest
// of it is filled in. Rows are put in the order of their ids, so equal models and options give
// equal bytes. Throws InvalidArgument for an unknown kind, attributes or rules of another number of
// items, and factors that do not fit the dtype.
void WriteArtifact(Context& context, const Model& model, const ArtifactOptions& options,
                   config::ArtifactManifest manifest, const std::string& path);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_ARTIFACT_WRITER_H_
