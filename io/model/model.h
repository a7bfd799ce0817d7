// A trained model at rest: factors, ids and what fold-in needs, with its manifest.
#ifndef PENCHANT_IO_MODEL_MODEL_H_
#define PENCHANT_IO_MODEL_MODEL_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "configs/model_manifest.pb.h"
#include "io/dataset/id_dictionary.h"
#include "io/model/tensor_file.h"
#include "kernels/base/memory.h"

namespace penchant {

// Version of the file format written; readers refuse newer ones.
inline constexpr int kFormatVersion = 1;

// Scores are dot products of user and item factors.
struct FactorTables {
  Matrix users;  // num_users x factors
  Matrix items;  // num_items x factors
  // items' items = diag(item_eigenvalues): what an exact ALS fold-in needs. Empty for others.
  std::vector<double> item_eigenvalues;
  // What users are means of, where that is not `items`: num_items x factors (Item2Vec), or empty.
  Matrix item_centers = {};
  // What an optimizer goes on from, by name: checkpoints alone.
  std::map<std::string, Matrix> state = {};

  FactorTables Clone() const {
    FactorTables clone{users.Clone(), items.Clone(), item_eigenvalues, item_centers.Clone()};
    for (const auto& [name, table] : state) clone.state.emplace(name, table.Clone());
    return clone;
  }
};

struct Model {
  config::ModelManifest manifest;
  std::shared_ptr<const IdDictionary> users;
  std::shared_ptr<const IdDictionary> items;
  FactorTables factors;
  // Checkpoints of early-stopped training carry the best tables so far; else empty.
  FactorTables best;
};

// Writes the model as one safetensors file, atomically. Fills in format version and checksums.
void SaveModel(const Model& model, const std::string& path);

// Reads and checks a model: version, shapes, ids, checksums. DataError says what is wrong.
std::shared_ptr<Model> LoadModel(const std::string& path);
std::shared_ptr<Model> LoadModel(const TensorFile& file);

// The manifest as JSON, as it is stored.
std::string ManifestJson(const config::ModelManifest& manifest, bool pretty);

}  // namespace penchant

#endif  // PENCHANT_IO_MODEL_MODEL_H_
