#include "io/dataset/interactions.h"

#include <algorithm>

#include "io/file/checksum.h"
#include "kernels/base/errors.h"

namespace penchant {

uint64_t Interactions::Fingerprint() const {
  StreamingChecksum checksum;
  const uint64_t ids[2] = {users->Fingerprint(), items->Fingerprint()};
  checksum.Update(ids, sizeof(ids));
  checksum.Update(user_items.offsets.data(), user_items.offsets.size() * sizeof(int64_t));
  checksum.Update(user_items.indices.data(), user_items.indices.size() * sizeof(int32_t));
  checksum.Update(user_items.values.data(), user_items.values.size() * sizeof(float));
  return checksum.Digest();
}

uint64_t EventLog::Fingerprint() const {
  StreamingChecksum checksum;
  const uint64_t counts[2] = {users.size(), weights.size()};
  checksum.Update(counts, sizeof(counts));
  checksum.Update(users.data(), users.size() * sizeof(int32_t));
  checksum.Update(items.data(), items.size() * sizeof(int32_t));
  checksum.Update(weights.data(), weights.size() * sizeof(float));
  checksum.Update(times.data(), times.size() * sizeof(int64_t));
  return checksum.Digest();
}

std::shared_ptr<Interactions> MakeInteractions(std::shared_ptr<const IdDictionary> users,
                                               std::shared_ptr<const IdDictionary> items,
                                               const Coordinates& entries, Duplicates duplicates) {
  auto interactions = std::make_shared<Interactions>();
  interactions->users = std::move(users);
  interactions->items = std::move(items);
  interactions->duplicates = duplicates;
  interactions->user_items =
      CsrFromCoordinates(entries, interactions->users->size(), interactions->items->size(),
                         duplicates, &interactions->report.rows_merged);
  interactions->item_users = Transpose(interactions->user_items.view());
  return interactions;
}

Duplicates ParseDuplicates(const std::string& name) {
  if (name == "sum") return Duplicates::kSum;
  if (name == "max") return Duplicates::kMax;
  if (name == "last") return Duplicates::kLast;
  if (name == "error") return Duplicates::kError;
  throw InvalidArgument("duplicates must be \"sum\", \"max\", \"last\" or \"error\"; got \"" +
                        name + "\"");
}

int64_t CountOverlap(const CsrView& train, const CsrView& test) {
  int64_t overlap = 0;
  for (int64_t row = 0; row < std::min(train.rows, test.rows); ++row) {
    const auto seen = train.row_indices(row);
    for (int32_t item : test.row_indices(row)) {
      overlap += std::binary_search(seen.begin(), seen.end(), item);
    }
  }
  return overlap;
}

}  // namespace penchant
