#include "io/artifact/artifact.h"

#include <cstring>
#include <limits>

#include "io/artifact/manifest_fields.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

constexpr int64_t kMaxRows = std::numeric_limits<int32_t>::max();
constexpr int64_t kMaxFactors = 1 << 20;

AlsFoldInRule ReadAls(const ManifestFields& fields, const TensorFile& file, int64_t factors) {
  AlsFoldInRule rule;
  rule.objective = {fields.Number("alpha"), fields.Number("unobserved_weight"),
                    fields.Number("regularization"), fields.Number("regularization_power")};
  const TensorView& values = file.Get("items.eigenvalues", DType::kF64, 1);
  PENCHANT_CHECK(values.shape[0] == factors, DataError, file.name(), ": ", values.shape[0],
                 " eigenvalues for ", factors, " factors");
  rule.eigenvalues.resize(static_cast<size_t>(factors));
  std::memcpy(rule.eigenvalues.data(), values.data, static_cast<size_t>(values.bytes));
  return rule;
}

RankingFoldInRule ReadRanking(const ManifestFields& fields, const TensorFile& file,
                              int64_t num_items) {
  RankingFoldInRule rule;
  rule.objective.loss = ParseRankingLoss(fields.Text("loss").c_str());
  rule.objective.regularization = fields.Number("regularization");
  rule.objective.batch = fields.Integer("batch", 1, 65536);
  rule.objective.negatives = fields.Integer("negatives", 1, 65536);
  rule.objective.margin = fields.Number("margin");
  rule.objective.negative_weight = fields.Number("negative_weight");
  if (fields.Has("dropout")) rule.objective.dropout = fields.Number("dropout");
  const TensorView& rows = file.Get("items.negatives", DType::kI32, 1);
  rule.negatives.resize(static_cast<size_t>(rows.shape[0]));
  if (!rule.negatives.empty()) {
    std::memcpy(rule.negatives.data(), rows.data, static_cast<size_t>(rows.bytes));
  }
  for (int32_t row : rule.negatives) {
    PENCHANT_CHECK(row >= 0 && row < num_items, DataError, file.name(), ": negative ", row,
                   " is outside the ", num_items, " items");
  }
  return rule;
}

FoldInRule ReadFoldIn(const ManifestFields& manifest, const TensorFile& file, int64_t num_items,
                      int64_t factors) {
  try {
    if (manifest.Has("als")) {
      AlsFoldInRule rule = ReadAls(manifest.Message("als"), file, factors);
      rule.objective.Validate();
      return rule;
    }
    if (manifest.Has("ranking")) {
      RankingFoldInRule rule = ReadRanking(manifest.Message("ranking"), file, num_items);
      rule.objective.Validate();
      return rule;
    }
  } catch (const InvalidArgument& error) {
    throw DataError(file.name() + ": the manifest is damaged: " + error.what());
  }
  if (manifest.Has("mean")) return MeanFoldInRule{};
  PENCHANT_CHECK(manifest.Has("constant"), DataError, file.name(),
                 ": the manifest does not say how users are folded in");
  return ConstantFoldInRule{};
}

std::vector<BusinessRule> ReadRules(const ManifestFields& manifest, const TensorFile& file,
                                    int64_t num_items) {
  std::vector<BusinessRule> rules;
  const int64_t bytes = (num_items + 7) / 8;
  for (const ManifestFields& fields : manifest.Messages("rules")) {
    BusinessRule rule;
    rule.text = fields.Text("text");
    for (const ManifestFields& condition : fields.Messages("conditions")) {
      const std::string comparison = condition.Text("comparison");
      PENCHANT_CHECK(comparison == "==" || comparison == "!=", DataError, file.name(), ": rule \"",
                     rule.text, "\" compares by \"", comparison, "\", wanted == or !=");
      rule.conditions.push_back(
          {condition.Text("field"), comparison == "==", condition.Texts("values")});
    }
    rules.push_back(std::move(rule));
  }
  if (rules.empty()) return rules;
  const TensorView& bitmaps = file.Get("items.rules", DType::kU8, 2);
  PENCHANT_CHECK(
      bitmaps.shape[0] == static_cast<int64_t>(rules.size()) && bitmaps.shape[1] == bytes,
      DataError, file.name(), ": the rules' bitmaps are ", bitmaps.shape[0], " x ",
      bitmaps.shape[1], " bytes, wanted ", rules.size(), " x ", bytes);
  for (size_t i = 0; i < rules.size(); ++i) {
    rules[i].denied = {bitmaps.data + static_cast<int64_t>(i) * bytes, static_cast<size_t>(bytes)};
  }
  return rules;
}

}  // namespace

std::shared_ptr<const Artifact> Artifact::Open(const std::string& path) {
  return Open(std::make_unique<const TensorFile>(path));
}

std::shared_ptr<const Artifact> Artifact::Open(std::unique_ptr<const TensorFile> opened) {
  const TensorFile& file = *opened;
  PENCHANT_CHECK(file.metadata().count(kDeltaKey) == 0, DataError, file.name(),
                 ": this is a delta; apply it to the artifact it was made for");
  const auto json = file.metadata().find(kArtifactKey);
  PENCHANT_CHECK(json != file.metadata().end(), DataError, file.name(), ": no \"", kArtifactKey,
                 "\" in the metadata: not an exported model (model.export writes them; "
                 "penchant.load reads what model.save wrote)");
  const ManifestFields manifest(json->second, file.name());
  const int64_t version = manifest.Integer("format_version", 1, kMaxRows);
  PENCHANT_CHECK(version <= kArtifactVersion, DataError, file.name(), ": artifact version ",
                 version, "; this reader reads versions 1 to ", kArtifactVersion);

  std::shared_ptr<Artifact> artifact(new Artifact(std::move(opened)));
  artifact->kind_ = manifest.Text("kind");
  PENCHANT_CHECK(
      artifact->kind_ == "full" || artifact->kind_ == "items" || artifact->kind_ == "users",
      DataError, file.name(), ": kind \"", artifact->kind_, "\"; known are full, items, users");
  artifact->algorithm_ = manifest.Text("algorithm");
  try {
    artifact->dtype_ = ParseFactorType(manifest.Text("dtype"));
  } catch (const InvalidArgument& error) {
    throw DataError(file.name() + ": " + error.what());
  }
  artifact->factors_ = manifest.Integer("factors", 1, kMaxFactors);
  artifact->has_biases_ = manifest.Flag("has_biases");
  PackedShape shape = {artifact->dtype_, 0, artifact->factors_, 1};
  if (shape.type == FactorType::kPq) {
    shape.pq_width = manifest.Integer("pq_width", 1, kMaxFactors);
  }
  if (artifact->has_users()) {
    shape.rows = manifest.Integer("num_users", 0, kMaxRows);
    artifact->users_ = PackedIdsView(file, "users", manifest.Flag("string_user_ids"), shape.rows);
    artifact->user_factors_ = PackedTableView(file, "users", shape);
  }
  if (artifact->has_items()) {
    shape.rows = manifest.Integer("num_items", 0, kMaxRows);
    artifact->items_ = PackedIdsView(file, "items", manifest.Flag("string_item_ids"), shape.rows);
    artifact->item_factors_ = PackedTableView(file, "items", shape);
    artifact->fold_in_ = ReadFoldIn(manifest, file, shape.rows, artifact->factors_);
    if (std::holds_alternative<MeanFoldInRule>(artifact->fold_in_)) {
      artifact->item_centers_ = PackedTableView(file, "items.centers", shape);
    }
    artifact->rules_ = ReadRules(manifest, file, shape.rows);
    for (const std::string& attribute : manifest.Texts("attributes")) {
      const TensorView& codes = file.Get("items.attributes." + attribute, DType::kI32, 1);
      PENCHANT_CHECK(codes.shape[0] == shape.rows, DataError, file.name(), ": attribute \"",
                     attribute, "\" has ", codes.shape[0], " values for ", shape.rows, " items");
      artifact->attributes_[attribute] = codes.data;
    }
  }
  return artifact;
}

void Artifact::Verify() const {
  VerifyManifest(*file_);
  auto expected = ListedChecksums(manifest_json(), name());
  for (const auto& [tensor, view] : file_->tensors()) {
    const std::string seen = ChecksumHex(Checksum(view.data, static_cast<size_t>(view.bytes)));
    PENCHANT_CHECK(expected[tensor] == seen, DataError, name(), ": tensor \"", tensor,
                   "\" is damaged: its checksum is ", seen, ", wanted ", expected[tensor]);
  }
}

void Artifact::RequireAttribute(const std::string& attribute) const {
  if (attributes_.count(attribute) > 0) return;
  std::string known;
  for (const auto& [name, unused] : attributes_) known += (known.empty() ? "" : ", ") + name;
  throw InvalidArgument("the artifact has no item attribute \"" + attribute + "\"; it has " +
                        (known.empty() ? "none" : known));
}

int32_t Artifact::AttributeOf(const std::string& attribute, int64_t item) const {
  RequireAttribute(attribute);
  int32_t code;
  std::memcpy(&code, attributes_.at(attribute) + item * 4, 4);
  return code;
}

}  // namespace penchant
