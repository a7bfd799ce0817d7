// Interactions: who did what, how strongly, when. The noun every algorithm trains on.
#ifndef PENCHANT_IO_DATASET_INTERACTIONS_H_
#define PENCHANT_IO_DATASET_INTERACTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/id_dictionary.h"
#include "kernels/sparse/csr.h"

namespace penchant {

// The rows of the source as they came, kept only when a time column was read: splits by time need
// them, because merging loses which event was when.
struct EventLog {
  std::vector<int32_t> users;
  std::vector<int32_t> items;
  std::vector<float> weights;  // empty: all ones
  std::vector<int64_t> times;  // in the column's own unit

  bool empty() const { return users.empty(); }
  // XXH3-64 of all of it.
  uint64_t Fingerprint() const;
};

// What was left out or merged while reading, so that nothing goes silently.
struct ReadReport {
  int64_t rows_read = 0;
  int64_t rows_bad = 0;                // refused: null id, NaN or infinite weight
  int64_t rows_zero_weight = 0;        // dropped
  int64_t rows_merged = 0;             // joined an earlier row of the same pair
  int64_t rows_cold = 0;               // left out of a test part: the training part lacks the user
  std::vector<std::string> first_bad;  // up to five, "file:row: what was seen"
};

// Immutable once built. Both orientations share the dictionaries; pairs are distinct and sorted.
struct Interactions {
  std::shared_ptr<const IdDictionary> users;
  std::shared_ptr<const IdDictionary> items;
  Csr user_items;  // users x items
  Csr item_users;  // its transpose
  EventLog events;
  Duplicates duplicates = Duplicates::kSum;
  ReadReport report;

  int64_t num_users() const { return user_items.rows; }
  int64_t num_items() const { return user_items.cols; }
  int64_t nnz() const { return user_items.nnz(); }

  // XXH3-64 of ids, pairs and weights.
  uint64_t Fingerprint() const;
};

// Merges the pairs and builds both orientations.
std::shared_ptr<Interactions> MakeInteractions(std::shared_ptr<const IdDictionary> users,
                                               std::shared_ptr<const IdDictionary> items,
                                               const Coordinates& entries, Duplicates duplicates);

// "sum", "max", "last" or "error"; InvalidArgument otherwise.
Duplicates ParseDuplicates(const std::string& name);

// How many pairs of `test` are also in `train`. REQUIRES: shared dictionaries.
int64_t CountOverlap(const CsrView& train, const CsrView& test);

}  // namespace penchant

#endif  // PENCHANT_IO_DATASET_INTERACTIONS_H_
