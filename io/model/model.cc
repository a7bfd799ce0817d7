#include "io/model/model.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <cstring>

#include "io/artifact/artifact.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

constexpr char kManifestKey[] = "penchant.manifest";
constexpr char kStatePrefix[] = "state.";
constexpr int64_t kMaxRows = int64_t{1} << 31;

// ---- Writing ----

void AppendIds(const std::string& prefix, const IdDictionary& ids,
               std::vector<TensorSource>* tensors) {
  if (ids.is_range()) return;  // the dense rows themselves; the tables tell how many
  if (ids.type() == IdType::kInteger) {
    tensors->push_back(
        TensorSource::Dense(prefix + "_ids", DType::kI64, {ids.size()}, ids.integers().data()));
  } else {
    tensors->push_back(TensorSource::Dense(prefix + "_id_offsets", DType::kI64, {ids.size() + 1},
                                           ids.string_offsets().data()));
    tensors->push_back(TensorSource::Dense(prefix + "_id_bytes", DType::kU8,
                                           {static_cast<int64_t>(ids.string_bytes().size())},
                                           ids.string_bytes().data()));
  }
}

TensorSource TableSource(const std::string& name, const Matrix& table) {
  return {name,
          DType::kF32,
          {table.rows(), table.cols()},
          table.row(0),
          table.stride() * static_cast<int64_t>(sizeof(float))};
}

void AppendTables(const std::string& prefix, const FactorTables& tables,
                  std::vector<TensorSource>* tensors) {
  // Eight-byte tensors first, so that every tensor stays aligned in the file.
  if (!tables.item_eigenvalues.empty()) {
    tensors->push_back(TensorSource::Dense(prefix + "item_eigenvalues", DType::kF64,
                                           {static_cast<int64_t>(tables.item_eigenvalues.size())},
                                           tables.item_eigenvalues.data()));
  }
  tensors->push_back(TableSource(prefix + "user_factors", tables.users));
  tensors->push_back(TableSource(prefix + "item_factors", tables.items));
  if (tables.item_centers.rows() > 0) {
    tensors->push_back(TableSource(prefix + "item_centers", tables.item_centers));
  }
  for (const auto& [name, table] : tables.state) {
    tensors->push_back(TableSource(prefix + kStatePrefix + name, table));
  }
}

// ---- Reading ----

Matrix ReadTable(const TensorFile& file, const std::string& name) {
  const TensorView& view = file.Get(name, DType::kF32, 2);
  PENCHANT_CHECK(view.shape[0] < kMaxRows && view.shape[1] < kMaxRows, DataError, file.name(),
                 ": tensor \"", name, "\" has ", view.shape[0], " x ", view.shape[1],
                 " elements, more than dense ids can number");
  Matrix table(view.shape[0], view.shape[1]);
  const int64_t row_bytes = view.shape[1] * static_cast<int64_t>(sizeof(float));
  for (int64_t i = 0; i < view.shape[0]; ++i) {
    std::memcpy(table.row(i), view.data + i * row_bytes, row_bytes);
  }
  return table;
}

FactorTables ReadTables(const TensorFile& file, const std::string& prefix) {
  FactorTables tables;
  tables.users = ReadTable(file, prefix + "user_factors");
  tables.items = ReadTable(file, prefix + "item_factors");
  PENCHANT_CHECK(tables.users.cols() == tables.items.cols(), DataError, file.name(),
                 ": users have ", tables.users.cols(), " factors, items ", tables.items.cols());
  if (file.Has(prefix + "item_eigenvalues")) {
    const TensorView& view = file.Get(prefix + "item_eigenvalues", DType::kF64, 1);
    PENCHANT_CHECK(view.shape[0] == tables.items.cols(), DataError, file.name(), ": ",
                   view.shape[0], " eigenvalues for ", tables.items.cols(), " factors");
    tables.item_eigenvalues.resize(view.shape[0]);
    std::memcpy(tables.item_eigenvalues.data(), view.data, view.bytes);
  }
  if (file.Has(prefix + "item_centers")) {
    tables.item_centers = ReadTable(file, prefix + "item_centers");
    PENCHANT_CHECK(tables.item_centers.rows() == tables.items.rows() &&
                       tables.item_centers.cols() == tables.items.cols(),
                   DataError, file.name(), ": item centers are ", tables.item_centers.rows(), " x ",
                   tables.item_centers.cols(), ", item factors ", tables.items.rows(), " x ",
                   tables.items.cols());
  }
  for (const auto& [name, view] : file.tensors()) {
    if (!name.starts_with(prefix + kStatePrefix)) continue;
    tables.state.emplace(name.substr((prefix + kStatePrefix).size()), ReadTable(file, name));
  }
  return tables;
}

std::shared_ptr<const IdDictionary> ReadIds(const TensorFile& file, const std::string& prefix,
                                            int64_t rows) {
  auto ids = std::make_shared<IdDictionary>();
  if (file.Has(prefix + "_ids")) {
    const TensorView& view = file.Get(prefix + "_ids", DType::kI64, 1);
    for (int64_t i = 0; i < view.shape[0]; ++i) {
      int64_t id;
      std::memcpy(&id, view.data + i * 8, 8);
      ids->Add(id);
    }
  } else if (file.Has(prefix + "_id_offsets")) {
    *ids = IdDictionary(IdType::kString);
    const TensorView& offsets = file.Get(prefix + "_id_offsets", DType::kI64, 1);
    const TensorView& bytes = file.Get(prefix + "_id_bytes", DType::kU8, 1);
    int64_t previous = 0;
    for (int64_t i = 0; i < offsets.shape[0]; ++i) {
      int64_t offset;
      std::memcpy(&offset, offsets.data + i * 8, 8);
      PENCHANT_CHECK(offset >= previous && offset <= bytes.bytes && (i > 0 || offset == 0),
                     DataError, file.name(), ": ", prefix, " id ", i, " ends at byte ", offset,
                     ", out of order or past ", bytes.bytes);
      if (i > 0) {
        ids->Add(std::string_view(reinterpret_cast<const char*>(bytes.data) + previous,
                                  static_cast<size_t>(offset - previous)));
      }
      previous = offset;
    }
  } else {
    *ids = IdDictionary::Range(rows);
  }
  PENCHANT_CHECK(ids->size() == rows, DataError, file.name(), ": ", ids->size(), " distinct ",
                 prefix, " ids for a table of ", rows, " rows");
  return ids;
}

void VerifyChecksums(const TensorFile& file, const config::ModelManifest& manifest) {
  std::map<std::string, std::string> expected;
  for (const auto& entry : manifest.checksums()) expected[entry.name()] = entry.xxh3();
  for (const auto& [name, view] : file.tensors()) {
    const auto it = expected.find(name);
    PENCHANT_CHECK(it != expected.end(), DataError, file.name(), ": tensor \"", name,
                   "\" has no checksum in the manifest");
    const std::string seen = ChecksumHex(Checksum(view.data, view.bytes));
    PENCHANT_CHECK(seen == it->second, DataError, file.name(), ": tensor \"", name,
                   "\" is damaged: its checksum is ", seen, ", wanted ", it->second);
  }
}

}  // namespace

std::string ManifestJson(const config::ModelManifest& manifest, bool pretty) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = pretty;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(manifest, &json, options);
  PENCHANT_REQUIRE(status.ok(), "the manifest cannot be written: ", status.ToString());
  return json;
}

void SaveModel(const Model& model, const std::string& path) {
  std::vector<TensorSource> tensors;
  AppendIds("user", *model.users, &tensors);
  AppendIds("item", *model.items, &tensors);
  AppendTables("", model.factors, &tensors);
  if (model.best.users.cols() > 0) AppendTables("best.", model.best, &tensors);
  // Stable: eight-byte tensors lead, so that every tensor starts at a multiple of its width.
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return DTypeBytes(a.dtype) > DTypeBytes(b.dtype);
  });
  config::ModelManifest manifest = model.manifest;
  manifest.set_format_version(kFormatVersion);
  manifest.clear_checksums();
  for (const TensorSource& tensor : tensors) {
    auto* entry = manifest.add_checksums();
    entry->set_name(tensor.name);
    entry->set_xxh3(ChecksumHex(TensorChecksum(tensor)));
  }
  WriteTensorFile(path, tensors, {{kManifestKey, ManifestJson(manifest, false)}});
}

std::shared_ptr<Model> LoadModel(const std::string& path) { return LoadModel(TensorFile(path)); }

std::shared_ptr<Model> LoadModel(const TensorFile& file) {
  PENCHANT_CHECK(file.metadata().count(kArtifactKey) == 0, DataError, file.name(),
                 ": this is an exported artifact, which penchant.Reader opens");
  const auto json = file.metadata().find(kManifestKey);
  PENCHANT_CHECK(json != file.metadata().end(), DataError, file.name(), ": no \"", kManifestKey,
                 "\" in the metadata: not a Penchant model");
  auto model = std::make_shared<Model>();
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // a newer writer of the same format version
  const auto status =
      google::protobuf::util::JsonStringToMessage(json->second, &model->manifest, options);
  PENCHANT_CHECK(status.ok(), DataError, file.name(),
                 ": the manifest is damaged: ", status.ToString());
  const int version = model->manifest.format_version();
  PENCHANT_CHECK(version >= 1 && version <= kFormatVersion, DataError, file.name(),
                 ": format version ", version, "; this Penchant reads versions 1 to ",
                 kFormatVersion);
  VerifyChecksums(file, model->manifest);
  model->factors = ReadTables(file, "");
  model->users = ReadIds(file, "user", model->factors.users.rows());
  model->items = ReadIds(file, "item", model->factors.items.rows());
  if (file.Has("best.user_factors")) model->best = ReadTables(file, "best.");
  return model;
}

}  // namespace penchant
