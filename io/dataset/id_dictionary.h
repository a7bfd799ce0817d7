// Maps the ids of users or items (64-bit integers or strings) to dense rows 0, 1, 2, ... in order
// of first appearance, and back.
#ifndef PENCHANT_IO_DATASET_ID_DICTIONARY_H_
#define PENCHANT_IO_DATASET_ID_DICTIONARY_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace penchant {

enum class IdType { kInteger, kString };

class IdDictionary {
 public:
  explicit IdDictionary(IdType type = IdType::kInteger) : type_(type) {}

  // Rows 0 .. n-1 named by the integers 0 .. n-1, without storing them.
  static IdDictionary Range(int64_t n);

  IdType type() const { return type_; }
  int64_t size() const { return size_; }
  // True for Range(): ids are the dense rows themselves.
  bool is_range() const { return is_range_; }

  // The row of an id, added at the end when new. Throws InvalidArgument when the id is not of
  // this dictionary's type or 2^31 - 1 rows are taken.
  int32_t Add(int64_t id);
  int32_t Add(std::string_view id);

  // The row of an id, or -1.
  int32_t Find(int64_t id) const;
  int32_t Find(std::string_view id) const;

  int64_t IntegerAt(int64_t row) const;
  std::string_view StringAt(int64_t row) const;
  // The id as text, for messages and tables.
  std::string TextAt(int64_t row) const;

  // Raw storage, for files. Strings are bytes[offsets[i] .. offsets[i + 1]).
  const std::vector<int64_t>& integers() const { return integers_; }
  const std::vector<char>& string_bytes() const { return bytes_; }
  const std::vector<int64_t>& string_offsets() const { return offsets_; }

  // Order-dependent XXH3-64 of type and ids.
  uint64_t Fingerprint() const;

 private:
  void MaterializeRange();
  void CheckRoom() const;
  template <typename Equals>
  int64_t Slot(uint64_t hash, const Equals& equals) const;
  void Insert(uint64_t hash, int32_t row, int64_t slot);
  void GrowTable();

  IdType type_;
  bool is_range_ = false;
  int64_t size_ = 0;
  std::vector<int64_t> integers_;
  std::vector<char> bytes_;
  std::vector<int64_t> offsets_ = {0};
  // Open addressing with linear probing; a power of two, at most half full. row -1: empty.
  struct Entry {
    uint32_t tag;
    int32_t row;
  };
  std::vector<Entry> table_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_DATASET_ID_DICTIONARY_H_
