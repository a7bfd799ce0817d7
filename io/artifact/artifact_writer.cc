#include "io/artifact/artifact_writer.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <numeric>
#include <string_view>

#include "io/artifact/artifact.h"
#include "io/artifact/artifact_file.h"
#include "io/artifact/packed_ids.h"
#include "io/artifact/spread_order.h"
#include "io/artifact/table_packer.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

// Negatives that rankings are folded in against.
constexpr int64_t kNegatives = 2048;

// The model's rows in the order of their ids.
std::vector<int32_t> OrderOf(const IdDictionary& ids) {
  std::vector<int32_t> order(static_cast<size_t>(ids.size()));
  std::iota(order.begin(), order.end(), 0);
  if (ids.is_range()) return order;
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    return ids.type() == IdType::kString ? ids.StringAt(a) < ids.StringAt(b)
                                         : ids.IntegerAt(a) < ids.IntegerAt(b);
  });
  return order;
}

PackedIds PackOrdered(const IdDictionary& ids, const std::vector<int32_t>& order) {
  if (ids.type() == IdType::kString) {
    std::vector<std::string_view> sorted;
    for (int32_t row : order) sorted.push_back(ids.StringAt(row));
    return PackedIds::Pack(std::span<const std::string_view>(sorted));
  }
  std::vector<int64_t> sorted;
  for (int32_t row : order) sorted.push_back(ids.IntegerAt(row));
  return PackedIds::Pack(std::span<const int64_t>(sorted));
}

// One side of the model, packed.
struct PackedSide {
  PackedIds ids;
  PackedTable table;

  void AppendTo(const std::string& prefix, std::vector<TensorSource>* tensors) const {
    ids.AppendTo(prefix, tensors);
    table.AppendTo(prefix, tensors);
  }
};

// What is stored of items beside ids and factors, in the order of the file.
class ItemTables {
 public:
  ItemTables(Context& context, const Model& model, const ArtifactOptions& options,
             const config::ArtifactManifest& manifest, const std::vector<int32_t>& order)
      : model_(model),
        num_items_(static_cast<int64_t>(order.size())),
        centers_({options.dtype, 0, manifest.factors(), 1}) {
    if (manifest.has_mean()) {
      centers_ = PackTable(context, model.factors.item_centers.view(), order, options.dtype,
                           "item centers");
    }
    if (manifest.has_ranking()) {
      // Evenly spread over the ids, and so that any few in a row are too.
      const int64_t count = std::min(num_items_, kNegatives);
      for (int64_t i : SpreadOrder(count)) {
        negatives_.push_back(static_cast<int32_t>(i * num_items_ / count));
      }
    }
    for (const ItemAttribute& attribute : options.attributes) {
      PENCHANT_REQUIRE(static_cast<int64_t>(attribute.codes.size()) == num_items_, "attribute \"",
                       attribute.name, "\" has ", attribute.codes.size(), " values for ",
                       num_items_, " items");
      attributes_.push_back({attribute.name, {}});
      for (int32_t row : order) attributes_.back().codes.push_back(attribute.codes[row]);
    }
    for (const ItemRule& rule : options.rules) {
      PENCHANT_REQUIRE(static_cast<int64_t>(rule.denied.size()) == num_items_, "rule \"",
                       rule.rule.text(), "\" has ", rule.denied.size(), " flags for ", num_items_,
                       " items");
      std::vector<uint8_t> bits(static_cast<size_t>((num_items_ + 7) / 8));
      for (size_t i = 0; i < order.size(); ++i) {
        if (rule.denied[order[i]] != 0) bits[i / 8] |= static_cast<uint8_t>(1 << i % 8);
      }
      bitmaps_.insert(bitmaps_.end(), bits.begin(), bits.end());
    }
    num_rules_ = static_cast<int64_t>(options.rules.size());
  }

  void AppendTo(const config::ArtifactManifest& manifest,
                std::vector<TensorSource>* tensors) const {
    if (manifest.has_als()) {
      const auto& values = model_.factors.item_eigenvalues;
      tensors->push_back(TensorSource::Dense("items.eigenvalues", DType::kF64,
                                             {static_cast<int64_t>(values.size())}, values.data()));
    }
    if (manifest.has_mean()) centers_.AppendTo("items.centers", tensors);
    if (manifest.has_ranking()) {
      tensors->push_back(TensorSource::Dense("items.negatives", DType::kI32,
                                             {static_cast<int64_t>(negatives_.size())},
                                             negatives_.data()));
    }
    for (const ItemAttribute& attribute : attributes_) {
      tensors->push_back(TensorSource::Dense("items.attributes." + attribute.name, DType::kI32,
                                             {num_items_}, attribute.codes.data()));
    }
    if (num_rules_ > 0) {
      tensors->push_back(TensorSource::Dense("items.rules", DType::kU8,
                                             {num_rules_, (num_items_ + 7) / 8}, bitmaps_.data()));
    }
  }

 private:
  const Model& model_;
  int64_t num_items_, num_rules_ = 0;
  PackedTable centers_;
  std::vector<int32_t> negatives_;
  std::vector<ItemAttribute> attributes_;
  std::vector<uint8_t> bitmaps_;
};

std::string ToJson(const config::ArtifactManifest& manifest) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = false;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &json, options);
  PENCHANT_REQUIRE(status.ok(), "the manifest cannot be written: ", status.ToString());
  return json;
}

}  // namespace

void WriteArtifact(Context& context, const Model& model, const ArtifactOptions& options,
                   config::ArtifactManifest manifest, const std::string& path) {
  PENCHANT_REQUIRE(options.kind == "full" || options.kind == "items" || options.kind == "users",
                   "kind must be \"full\", \"items\" or \"users\"; got \"", options.kind, "\"");
  const bool users = options.kind != "items", items = options.kind != "users";
  manifest.set_format_version(kArtifactVersion);
  manifest.set_kind(options.kind);
  manifest.set_algorithm(model.manifest.algorithm());
  manifest.set_dtype(FactorTypeName(options.dtype));
  manifest.set_factors(static_cast<int32_t>(model.factors.items.cols()));
  *manifest.mutable_data() = model.manifest.data();
  *manifest.mutable_metrics() = model.manifest.metrics();

  std::vector<TensorSource> tensors;
  std::unique_ptr<PackedSide> user_side, item_side;
  std::unique_ptr<ItemTables> item_tables;
  const auto pack = [&](const IdDictionary& ids, const std::vector<int32_t>& order,
                        const Matrix& table, const char* what) {
    auto side = std::make_unique<PackedSide>(PackedSide{
        PackOrdered(ids, order), PackTable(context, table.view(), order, options.dtype, what)});
    if (options.dtype == FactorType::kPq) {
      manifest.set_pq_width(static_cast<int32_t>(side->table.shape.pq_width));
    }
    return side;
  };
  if (users) {
    manifest.set_num_users(static_cast<int32_t>(model.users->size()));
    manifest.set_string_user_ids(model.users->type() == IdType::kString);
    user_side = pack(*model.users, OrderOf(*model.users), model.factors.users, "user factors");
    user_side->AppendTo("users", &tensors);
  }
  if (items) {
    manifest.set_num_items(static_cast<int32_t>(model.items->size()));
    manifest.set_string_item_ids(model.items->type() == IdType::kString);
    for (const ItemAttribute& attribute : options.attributes) {
      manifest.add_attributes(attribute.name);
    }
    for (const ItemRule& rule : options.rules) *manifest.add_rules() = rule.rule;
    const std::vector<int32_t> order = OrderOf(*model.items);
    item_side = pack(*model.items, order, model.factors.items, "item factors");
    item_side->AppendTo("items", &tensors);
    item_tables = std::make_unique<ItemTables>(context, model, options, manifest, order);
    item_tables->AppendTo(manifest, &tensors);
  } else {
    manifest.clear_fold_in();
  }
  for (const TensorSource& tensor : tensors) {
    auto* entry = manifest.add_checksums();
    entry->set_name(tensor.name);
    entry->set_xxh3(ChecksumHex(TensorChecksum(tensor)));
  }
  WriteArtifactFile(path, std::move(tensors), ToJson(manifest));
}

}  // namespace penchant
