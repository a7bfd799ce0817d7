// Collects interactions from batches of columns.
#ifndef PENCHANT_IO_DATASET_INTERACTIONS_BUILDER_H_
#define PENCHANT_IO_DATASET_INTERACTIONS_BUILDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "io/dataset/interactions.h"
#include "io/readers/arrow_column.h"

namespace penchant {

struct BuilderOptions {
  Duplicates duplicates = Duplicates::kSum;
  int64_t max_bad_rows = 0;
  // Dictionaries to go on from (a warm start, a test file); null starts empty ones.
  std::shared_ptr<const IdDictionary> users;
  std::shared_ptr<const IdDictionary> items;
  // With given dictionaries: count rows of unknown ids as dropped instead of adding them.
  bool keep_dictionaries = false;
};

class InteractionsBuilder {
 public:
  explicit InteractionsBuilder(BuilderOptions options);

  // Adds a batch. `weight` and `time` may be null. `source` and `first_row` (counted from 1) place
  // bad rows in messages. Throws DataError once more than max_bad_rows rows were bad.
  void Add(const ArrowColumn& user, const ArrowColumn& item, const ArrowColumn* weight,
           const ArrowColumn* time, const std::string& source, int64_t first_row);

  // Rows whose user or item is not in the kept dictionaries.
  int64_t rows_unknown() const { return rows_unknown_; }

  // The builder is empty afterwards.
  std::shared_ptr<Interactions> Finish();

 private:
  void AddBad(const std::string& source, int64_t row, const std::string& what);
  void MapIds(const ArrowColumn& column, std::unique_ptr<IdDictionary>* dictionary,
              std::vector<int32_t>* rows);

  BuilderOptions options_;
  std::unique_ptr<IdDictionary> users_;
  std::unique_ptr<IdDictionary> items_;
  EventLog events_;
  ReadReport report_;
  int64_t rows_unknown_ = 0;
  bool weighted_ = false;
  bool timed_ = false;
  std::vector<int32_t> batch_users_;
  std::vector<int32_t> batch_items_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_DATASET_INTERACTIONS_BUILDER_H_
