#include "io/dataset/interactions_builder.h"

#include <cmath>
#include <utility>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

constexpr int32_t kNullId = -1;
constexpr int32_t kUnknownId = -2;
constexpr size_t kShownBadRows = 5;

std::shared_ptr<const IdDictionary> Share(std::unique_ptr<IdDictionary> dictionary) {
  return dictionary ? std::shared_ptr<const IdDictionary>(std::move(dictionary))
                    : std::make_shared<const IdDictionary>();
}

}  // namespace

InteractionsBuilder::InteractionsBuilder(BuilderOptions options) : options_(std::move(options)) {
  if (options_.users) users_ = std::make_unique<IdDictionary>(*options_.users);
  if (options_.items) items_ = std::make_unique<IdDictionary>(*options_.items);
}

void InteractionsBuilder::AddBad(const std::string& source, int64_t row, const std::string& what) {
  ++report_.rows_bad;
  if (report_.first_bad.size() < kShownBadRows) {
    report_.first_bad.push_back(source + ":" + std::to_string(row) + ": " + what);
  }
}

void InteractionsBuilder::MapIds(const ArrowColumn& column,
                                 std::unique_ptr<IdDictionary>* dictionary,
                                 std::vector<int32_t>* rows) {
  const IdType type = column.is_string() ? IdType::kString : IdType::kInteger;
  if (*dictionary == nullptr) *dictionary = std::make_unique<IdDictionary>(type);
  IdDictionary& ids = **dictionary;
  PENCHANT_CHECK(ids.type() == type, DataError, "column \"", column.name(), "\" holds ",
                 type == IdType::kString ? "strings" : "integers", "; earlier ids are ",
                 type == IdType::kString ? "integers" : "strings");
  rows->resize(column.length());
  for (int64_t i = 0; i < column.length(); ++i) {
    int32_t row = kNullId;
    if (!column.is_null(i)) {
      if (type == IdType::kInteger) {
        const int64_t id = column.IntegerAt(i);
        row = options_.keep_dictionaries ? ids.Find(id) : ids.Add(id);
      } else {
        const std::string_view id = column.StringAt(i);
        row = options_.keep_dictionaries ? ids.Find(id) : ids.Add(id);
      }
      if (row < 0) row = kUnknownId;
    }
    (*rows)[i] = row;
  }
}

void InteractionsBuilder::Add(const ArrowColumn& user, const ArrowColumn& item,
                              const ArrowColumn* weight, const ArrowColumn* time,
                              const std::string& source, int64_t first_row) {
  const int64_t n = user.length();
  const bool first = report_.rows_read == 0;
  PENCHANT_REQUIRE(first || (weighted_ == (weight != nullptr) && timed_ == (time != nullptr)),
                   "every batch must have the same columns");
  weighted_ = weight != nullptr;
  timed_ = time != nullptr;
  MapIds(user, &users_, &batch_users_);
  MapIds(item, &items_, &batch_items_);
  for (int64_t i = 0; i < n; ++i) {
    const int32_t u = batch_users_[i], v = batch_items_[i];
    if (u == kNullId || v == kNullId) {
      AddBad(source, first_row + i, u == kNullId ? "null user id" : "null item id");
      continue;
    }
    float w = 1.0f;
    if (weight) {
      const double value = weight->is_null(i) ? std::nan("") : weight->NumberAt(i);
      w = static_cast<float>(value);
      if (!std::isfinite(w)) {
        AddBad(source, first_row + i,
               "weight " + (weight->is_null(i) ? std::string("null") : std::to_string(value)));
        continue;
      }
      if (w == 0.0f) {
        ++report_.rows_zero_weight;
        continue;
      }
    }
    int64_t t = 0;
    if (time) {
      if (time->is_null(i) || !time->IntegerTimeAt(i, &t)) {
        AddBad(source, first_row + i, "null or non-finite time");
        continue;
      }
    }
    if (u == kUnknownId || v == kUnknownId) {
      ++rows_unknown_;
      continue;
    }
    events_.users.push_back(u);
    events_.items.push_back(v);
    if (weight) events_.weights.push_back(w);
    if (time) events_.times.push_back(t);
  }
  report_.rows_read += n;
  if (report_.rows_bad > options_.max_bad_rows) {
    std::string message = std::to_string(report_.rows_bad) + " bad rows, " +
                          std::to_string(options_.max_bad_rows) +
                          " allowed (max_bad_rows); the first:";
    for (const std::string& row : report_.first_bad) message += "\n  " + row;
    throw DataError(message);
  }
}

std::shared_ptr<Interactions> InteractionsBuilder::Finish() {
  auto users =
      options_.keep_dictionaries && options_.users ? options_.users : Share(std::move(users_));
  auto items =
      options_.keep_dictionaries && options_.items ? options_.items : Share(std::move(items_));
  const Coordinates entries{events_.users, events_.items, events_.weights};
  auto interactions =
      MakeInteractions(std::move(users), std::move(items), entries, options_.duplicates);
  report_.rows_merged = interactions->report.rows_merged;
  interactions->report = std::exchange(report_, {});
  if (timed_) interactions->events = std::exchange(events_, {});
  events_ = {};
  return interactions;
}

}  // namespace penchant
