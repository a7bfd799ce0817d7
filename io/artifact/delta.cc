#include "io/artifact/delta.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <vector>

#include "io/artifact/artifact.h"
#include "io/artifact/artifact_file.h"
#include "io/artifact/manifest_fields.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

constexpr int kDeltaVersion = 1;

// A side's tables that have a row an id.
struct RowTable {
  std::string name;
  const PackedTableView* view;
};

struct Side {
  std::string name;
  const PackedIdsView* ids;
  std::vector<RowTable> tables;
};

std::vector<Side> SidesOf(const Artifact& artifact) {
  std::vector<Side> sides;
  if (artifact.has_users()) {
    sides.push_back({"users", &artifact.users(), {{"users", &artifact.user_factors()}}});
  }
  if (artifact.has_items()) {
    sides.push_back({"items", &artifact.items(), {{"items", &artifact.item_factors()}}});
    if (std::holds_alternative<MeanFoldInRule>(artifact.fold_in())) {
      sides.back().tables.push_back({"items.centers", &artifact.item_centers()});
    }
  }
  return sides;
}

const Side* FindSide(const std::vector<Side>& sides, const std::string& name) {
  for (const Side& side : sides) {
    if (side.name == name) return &side;
  }
  return nullptr;
}

// Whether rows of one can stand in the other.
bool Compatible(const Side& a, const Side& b) {
  if (a.ids->strings() != b.ids->strings() || a.tables.size() != b.tables.size()) return false;
  const PackedShape &x = a.tables[0].view->shape(), &y = b.tables[0].view->shape();
  return x.type == y.type && x.cols == y.cols && x.pq_width == y.pq_width;
}

// Tensors that hold a side's rows: not copied, but merged.
std::set<std::string> RowTensors(const Side& side) {
  std::set<std::string> names = {side.name + ".id_blocks", side.name + ".id_bytes"};
  for (const RowTable& table : side.tables) {
    names.insert(table.name);
    if (table.view->shape().has_scales()) names.insert(table.name + ".scales");
  }
  return names;
}

bool Before(const Id& a, const Id& b) { return a.text ? *a.text < *b.text : a.number < b.number; }

PackedIds PackIds(const std::vector<Id>& ids, bool strings) {
  if (strings) {
    std::vector<std::string_view> texts;
    for (const Id& id : ids) texts.push_back(*id.text);
    return PackedIds::Pack(std::span<const std::string_view>(texts));
  }
  std::vector<int64_t> numbers;
  for (const Id& id : ids) numbers.push_back(id.number);
  return PackedIds::Pack(std::span<const int64_t>(numbers));
}

std::string Fingerprint(const Artifact& artifact) {
  return ChecksumHex(Checksum(artifact.manifest_json().data(), artifact.manifest_json().size()));
}

TensorSource SourceOf(const std::string& name, const TensorView& view) {
  return TensorSource::Dense(name, view.dtype, view.shape, view.data);
}

bool SameTensor(const TensorFile& file, const std::string& name, const TensorView& view) {
  const auto found = file.tensors().find(name);
  return found != file.tensors().end() && found->second.dtype == view.dtype &&
         found->second.shape == view.shape &&
         (view.bytes == 0 ||
          std::memcmp(found->second.data, view.data, static_cast<size_t>(view.bytes)) == 0);
}

// Tables and ids made here, at addresses that last until they are written.
struct Made {
  std::deque<PackedIds> ids;
  std::deque<PackedTable> tables;
  std::vector<TensorSource> tensors;

  void AddIds(const std::string& name, const std::vector<Id>& list, bool strings) {
    ids.push_back(PackIds(list, strings));
    ids.back().AppendTo(name, &tensors);
  }
  // Rows from (view, row).
  void AddTable(const std::string& name,
                const std::vector<std::pair<const PackedTableView*, int64_t>>& rows,
                PackedShape shape) {
    shape.rows = static_cast<int64_t>(rows.size());
    PackedTable& table = tables.emplace_back(shape);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].first->CopyRow(rows[i].second, static_cast<int64_t>(i), &table);
    }
    std::vector<TensorSource> sources;
    table.AppendTo(name, &sources);
    for (TensorSource& source : sources) {
      // What rows share is of the whole table and goes its own way.
      const bool shared = source.name == name + ".centroids" || source.name == name + ".columns";
      if (!shared) tensors.push_back(std::move(source));
    }
  }
};

void DiffSide(const Side& base, const Side& target, Made* made, nlohmann::json* counts) {
  std::vector<Id> changed, removed;
  std::vector<int64_t> rows;
  int64_t i = 0, j = 0;
  const int64_t n = base.ids->size(), m = target.ids->size();
  while (i < n || j < m) {
    const bool only_base = j == m || (i < n && Before(base.ids->At(i), target.ids->At(j)));
    const bool only_target = !only_base && (i == n || Before(target.ids->At(j), base.ids->At(i)));
    if (only_base) {
      removed.push_back(base.ids->At(i++));
      continue;
    }
    bool same = !only_target;
    for (size_t t = 0; same && t < target.tables.size(); ++t) {
      same = target.tables[t].view->SameRow(j, *base.tables[t].view, i);
    }
    if (!same) {
      changed.push_back(target.ids->At(j));
      rows.push_back(j);
    }
    i += only_target ? 0 : 1;
    ++j;
  }
  (*counts)[target.name] = {{"changed", changed.size()}, {"removed", removed.size()}};
  made->AddIds(target.name + ".changed", changed, target.ids->strings());
  made->AddIds(target.name + ".removed", removed, target.ids->strings());
  for (const RowTable& table : target.tables) {
    std::vector<std::pair<const PackedTableView*, int64_t>> sources;
    for (int64_t row : rows) sources.emplace_back(table.view, row);
    made->AddTable(table.name + ".changed", sources, table.view->shape());
  }
}

// The rows of a delta for one side.
struct SideDelta {
  PackedIdsView changed, removed;
  std::vector<PackedTableView> tables;
};

SideDelta ReadSideDelta(const TensorFile& file, const ManifestFields& counts, const Side& base) {
  const bool strings = base.ids->strings();
  constexpr int64_t kMost = (int64_t{1} << 31) - 1;
  SideDelta delta;
  delta.changed =
      PackedIdsView(file, base.name + ".changed", strings, counts.Integer("changed", 0, kMost));
  delta.removed =
      PackedIdsView(file, base.name + ".removed", strings, counts.Integer("removed", 0, kMost));
  for (const RowTable& table : base.tables) {
    PackedShape shape = table.view->shape();
    shape.rows = delta.changed.size();
    delta.tables.emplace_back(file, table.name + ".changed", shape, PackedTableView::kRowsAlone);
  }
  return delta;
}

void MergeSide(const Side& base, const SideDelta& delta, Made* made) {
  std::vector<Id> ids;
  std::vector<std::vector<std::pair<const PackedTableView*, int64_t>>> rows(base.tables.size());
  const auto take = [&](Id id, bool from_delta, int64_t row) {
    ids.push_back(std::move(id));
    for (size_t t = 0; t < rows.size(); ++t) {
      rows[t].emplace_back(from_delta ? &delta.tables[t] : base.tables[t].view, row);
    }
  };
  int64_t j = 0;
  for (int64_t i = 0; i < base.ids->size(); ++i) {
    Id id = base.ids->At(i);
    for (; j < delta.changed.size() && Before(delta.changed.At(j), id); ++j) {
      take(delta.changed.At(j), true, j);
    }
    if (j < delta.changed.size() && delta.changed.At(j) == id) {
      take(std::move(id), true, j++);
    } else if (delta.removed.Find(id) < 0) {
      take(std::move(id), false, i);
    }
  }
  for (; j < delta.changed.size(); ++j) take(delta.changed.At(j), true, j);
  made->AddIds(base.name, ids, base.ids->strings());
  for (size_t t = 0; t < rows.size(); ++t) {
    made->AddTable(base.tables[t].name, rows[t], base.tables[t].view->shape());
  }
}

}  // namespace

void WriteDelta(const std::string& base_path, const std::string& target_path,
                const std::string& path) {
  const auto base = Artifact::Open(base_path), target = Artifact::Open(target_path);
  const std::vector<Side> base_sides = SidesOf(*base), target_sides = SidesOf(*target);
  Made made;
  std::set<std::string> merged;
  nlohmann::json sides = nlohmann::json::object();
  for (const Side& side : target_sides) {
    const Side* old = FindSide(base_sides, side.name);
    if (old == nullptr || !Compatible(*old, side)) continue;
    DiffSide(*old, side, &made, &sides);
    merged.merge(RowTensors(side));
  }
  for (const auto& [name, view] : target->file().tensors()) {
    if (merged.contains(name) || SameTensor(base->file(), name, view)) continue;
    made.tensors.push_back(SourceOf(name, view));
  }
  const nlohmann::json about = {
      {"format_version", kDeltaVersion}, {"base", Fingerprint(*base)}, {"sides", sides}};
  WriteArtifactFile(path, std::move(made.tensors), target->manifest_json(), about.dump());
}

void ApplyDelta(const std::string& base_path, const std::string& delta_path,
                const std::string& path) {
  const auto base = Artifact::Open(base_path);
  const TensorFile file(delta_path);
  const auto about = file.metadata().find(kDeltaKey);
  const auto manifest = file.metadata().find(kArtifactKey);
  PENCHANT_CHECK(about != file.metadata().end() && manifest != file.metadata().end(), DataError,
                 delta_path, ": not a delta (export(since=) writes them)");
  VerifyManifest(file);
  const ManifestFields fields(about->second, delta_path);
  const int64_t version = fields.Integer("format_version", 1, 1 << 30);
  PENCHANT_CHECK(version <= kDeltaVersion, DataError, delta_path, ": delta version ", version,
                 "; this reader reads versions 1 to ", kDeltaVersion);
  PENCHANT_CHECK(fields.Text("base") == Fingerprint(*base), DataError, delta_path,
                 ": the delta is for the artifact of fingerprint ", fields.Text("base"), "; ",
                 base_path, " has ", Fingerprint(*base));

  Made made;
  const ManifestFields sides = fields.Message("sides");
  for (const Side& side : SidesOf(*base)) {
    if (!sides.Has(side.name.c_str())) continue;
    MergeSide(side, ReadSideDelta(file, sides.Message(side.name.c_str()), side), &made);
  }
  // Everything else is in the delta or as it was.
  auto wanted = ListedChecksums(manifest->second, delta_path);
  std::set<std::string> present;
  for (const TensorSource& tensor : made.tensors) present.insert(tensor.name);
  for (const auto& [name, unused] : wanted) {
    if (present.contains(name)) continue;
    const TensorFile& holder = file.Has(name) ? file : base->file();
    const auto found = holder.tensors().find(name);
    PENCHANT_CHECK(found != holder.tensors().end(), DataError, delta_path, ": tensor \"", name,
                   "\" is neither in the delta nor in its base");
    made.tensors.push_back(SourceOf(name, found->second));
  }
  for (const TensorSource& tensor : made.tensors) {
    const std::string seen = ChecksumHex(TensorChecksum(tensor));
    PENCHANT_CHECK(wanted[tensor.name] == seen, DataError, delta_path, ": tensor \"", tensor.name,
                   "\" would have checksum ", seen, ", wanted ", wanted[tensor.name],
                   ": the delta or its base is damaged");
  }
  WriteArtifactFile(path, std::move(made.tensors), manifest->second);
}

}  // namespace penchant
