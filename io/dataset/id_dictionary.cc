#include "io/dataset/id_dictionary.h"

#include <limits>

#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

// The finalizer of SplitMix64: a bijection that spreads consecutive integers.
uint64_t HashInteger(int64_t id) {
  uint64_t x = static_cast<uint64_t>(id) + 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

uint64_t HashString(std::string_view id) { return Checksum(id.data(), id.size()); }

uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }

}  // namespace

IdDictionary IdDictionary::Range(int64_t n) {
  PENCHANT_REQUIRE(n >= 0 && n <= std::numeric_limits<int32_t>::max(), "a table of ", n,
                   " rows exceeds the 2^31 - 1 rows that dense ids can number");
  IdDictionary dictionary(IdType::kInteger);
  dictionary.is_range_ = true;
  dictionary.size_ = n;
  return dictionary;
}

void IdDictionary::MaterializeRange() {
  const int64_t n = size_;
  *this = IdDictionary(IdType::kInteger);
  for (int64_t id = 0; id < n; ++id) Add(id);
}

void IdDictionary::CheckRoom() const {
  PENCHANT_REQUIRE(size_ < std::numeric_limits<int32_t>::max(),
                   "more than 2^31 - 1 distinct ids in one dictionary");
}

template <typename Equals>
int64_t IdDictionary::Slot(uint64_t hash, const Equals& equals) const {
  const uint64_t mask = table_.size() - 1;
  uint64_t slot = hash & mask;
  while (table_[slot].row >= 0 && !(table_[slot].tag == Tag(hash) && equals(table_[slot].row))) {
    slot = (slot + 1) & mask;
  }
  return static_cast<int64_t>(slot);
}

void IdDictionary::GrowTable() {
  std::vector<Entry> old(table_.empty() ? 64 : table_.size() * 2, Entry{0, -1});
  old.swap(table_);
  const uint64_t mask = table_.size() - 1;
  for (const Entry& entry : old) {
    if (entry.row < 0) continue;
    const uint64_t hash = type_ == IdType::kInteger ? HashInteger(integers_[entry.row])
                                                    : HashString(StringAt(entry.row));
    uint64_t slot = hash & mask;
    while (table_[slot].row >= 0) slot = (slot + 1) & mask;
    table_[slot] = entry;
  }
}

void IdDictionary::Insert(uint64_t hash, int32_t row, int64_t slot) {
  table_[slot] = {Tag(hash), row};
  ++size_;
  if (static_cast<size_t>(size_) * 2 > table_.size()) GrowTable();
}

int32_t IdDictionary::Add(int64_t id) {
  PENCHANT_REQUIRE(type_ == IdType::kInteger, "this dictionary holds string ids; got integer ", id);
  if (is_range_) {
    if (id >= 0 && id < size_) return static_cast<int32_t>(id);
    MaterializeRange();
  }
  if (table_.empty()) GrowTable();
  const uint64_t hash = HashInteger(id);
  const int64_t slot = Slot(hash, [&](int32_t row) { return integers_[row] == id; });
  if (table_[slot].row >= 0) return table_[slot].row;
  CheckRoom();
  const int32_t row = static_cast<int32_t>(size_);
  integers_.push_back(id);
  Insert(hash, row, slot);
  return row;
}

int32_t IdDictionary::Add(std::string_view id) {
  PENCHANT_REQUIRE(type_ == IdType::kString, "this dictionary holds integer ids; got \"", id, "\"");
  if (table_.empty()) GrowTable();
  const uint64_t hash = HashString(id);
  const int64_t slot = Slot(hash, [&](int32_t row) { return StringAt(row) == id; });
  if (table_[slot].row >= 0) return table_[slot].row;
  CheckRoom();
  const int32_t row = static_cast<int32_t>(size_);
  bytes_.insert(bytes_.end(), id.begin(), id.end());
  offsets_.push_back(static_cast<int64_t>(bytes_.size()));
  Insert(hash, row, slot);
  return row;
}

int32_t IdDictionary::Find(int64_t id) const {
  if (type_ != IdType::kInteger) return -1;
  if (is_range_) return id >= 0 && id < size_ ? static_cast<int32_t>(id) : -1;
  if (table_.empty()) return -1;
  return table_[Slot(HashInteger(id), [&](int32_t row) { return integers_[row] == id; })].row;
}

int32_t IdDictionary::Find(std::string_view id) const {
  if (type_ != IdType::kString || table_.empty()) return -1;
  return table_[Slot(HashString(id), [&](int32_t row) { return StringAt(row) == id; })].row;
}

int64_t IdDictionary::IntegerAt(int64_t row) const {
  PENCHANT_REQUIRE(row >= 0 && row < size_, "row ", row, " is outside [0, ", size_, ")");
  return is_range_ ? row : integers_[row];
}

std::string_view IdDictionary::StringAt(int64_t row) const {
  return {bytes_.data() + offsets_[row], static_cast<size_t>(offsets_[row + 1] - offsets_[row])};
}

std::string IdDictionary::TextAt(int64_t row) const {
  return type_ == IdType::kInteger ? std::to_string(IntegerAt(row)) : std::string(StringAt(row));
}

uint64_t IdDictionary::Fingerprint() const {
  StreamingChecksum checksum;
  const int64_t head[3] = {static_cast<int64_t>(type_), is_range_ ? 1 : 0, size_};
  checksum.Update(head, sizeof(head));
  checksum.Update(integers_.data(), integers_.size() * sizeof(int64_t));
  checksum.Update(bytes_.data(), bytes_.size());
  checksum.Update(offsets_.data(), offsets_.size() * sizeof(int64_t));
  return checksum.Digest();
}

}  // namespace penchant
