// A compact model, open for reading: FORMATS.md has every byte. Opening maps the file and checks
// shapes; nothing is parsed but the header, whatever the number of rows.
#ifndef PENCHANT_IO_ARTIFACT_ARTIFACT_H_
#define PENCHANT_IO_ARTIFACT_ARTIFACT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "io/artifact/artifact_file.h"
#include "io/artifact/packed_ids.h"
#include "io/artifact/packed_table.h"
#include "io/model/tensor_file.h"
#include "kernels/als/als_objective.h"
#include "kernels/sgd/ranking_objective.h"

namespace penchant {

inline constexpr int kArtifactVersion = 1;

// How histories become users.
struct AlsFoldInRule {
  AlsObjective objective;
  std::vector<double> eigenvalues;  // of items' items, a factor
};
struct RankingFoldInRule {
  RankingObjective objective;
  std::vector<int32_t> negatives;  // item rows
};
struct MeanFoldInRule {};      // of the items' centers
struct ConstantFoldInRule {};  // every factor is 1
using FoldInRule =
    std::variant<ConstantFoldInRule, AlsFoldInRule, RankingFoldInRule, MeanFoldInRule>;

struct RuleCondition {
  std::string field;
  bool equal = true;  // to any of the values; or else to none of them
  std::vector<std::string> values;
};

struct BusinessRule {
  std::string text;
  std::vector<RuleCondition> conditions;
  std::span<const uint8_t> denied;  // a bit an item
};

class Artifact {
 public:
  // Throws IoError and DataError; DataError names both versions where the file is newer.
  static std::shared_ptr<const Artifact> Open(const std::string& path);
  static std::shared_ptr<const Artifact> Open(std::unique_ptr<const TensorFile> file);

  // Compares the manifest and every tensor with their checksums. Throws DataError naming what is
  // damaged.
  void Verify() const;

  const std::string& name() const { return file_->name(); }
  const TensorFile& file() const { return *file_; }
  const std::string& manifest_json() const { return file_->metadata().at(kArtifactKey); }
  const std::string& kind() const { return kind_; }
  const std::string& algorithm() const { return algorithm_; }
  FactorType dtype() const { return dtype_; }
  int64_t num_users() const { return users_.size(); }
  int64_t num_items() const { return items_.size(); }
  int64_t factors() const { return factors_; }  // a bias included
  bool has_biases() const { return has_biases_; }
  bool has_users() const { return kind_ != "items"; }
  bool has_items() const { return kind_ != "users"; }

  const PackedIdsView& users() const { return users_; }
  const PackedIdsView& items() const { return items_; }
  const PackedTableView& user_factors() const { return user_factors_; }
  const PackedTableView& item_factors() const { return item_factors_; }
  // What users are means of; MeanFoldInRule alone.
  const PackedTableView& item_centers() const { return item_centers_; }
  const FoldInRule& fold_in() const { return fold_in_; }
  const std::vector<BusinessRule>& rules() const { return rules_; }
  // The values of an attribute by item row: codes, equal where values are, -1 where there is none.
  // Throws InvalidArgument naming the known attributes.
  int32_t AttributeOf(const std::string& attribute, int64_t item) const;
  void RequireAttribute(const std::string& attribute) const;

 private:
  explicit Artifact(std::unique_ptr<const TensorFile> file) : file_(std::move(file)) {}

  std::unique_ptr<const TensorFile> file_;
  std::string kind_, algorithm_;
  FactorType dtype_ = FactorType::kFloat32;
  int64_t factors_ = 0;
  bool has_biases_ = false;
  PackedIdsView users_, items_;
  PackedTableView user_factors_, item_factors_, item_centers_;
  FoldInRule fold_in_;
  std::vector<BusinessRule> rules_;
  std::map<std::string, const uint8_t*> attributes_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_ARTIFACT_H_
