// Serving from a compact artifact: recommendations for known users and for histories, similar
// items, scores and explanations, under filters, boosts, caps and business rules.
#ifndef PENCHANT_IO_READER_READER_H_
#define PENCHANT_IO_READER_READER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/artifact/artifact.h"
#include "io/reader/history_fold_in.h"
#include "io/reader/selection.h"

namespace penchant {

struct Query {
  std::optional<Id> user = std::nullopt;  // none: the history is folded in
  std::vector<WeightedId> history = {};   // what the user did
  int64_t n = 10;
  bool filter_history = true;  // leave the history's items out
  Selection selection = {};
};

// Best first; ties go to the smaller id. At most n.
struct Answer {
  std::vector<Id> ids;
  std::vector<float> scores;
};

struct Explanation {
  double score = 0;               // of the user folded in
  std::vector<WeightedId> parts;  // what each item of the history adds to it, largest first
};

// All methods may be called from any number of threads, Reload() among them: a query is answered
// whole by the artifact that was current when it began.
//
// Errors: InvalidArgument names an unknown user or item, an empty or wholly unknown history, an
// n < 1, or what this kind of artifact has not; DataError damage that a query runs into.
class Reader {
 public:
  // `verify` compares all checksums first, which reads the whole file.
  explicit Reader(const std::string& path, bool verify = false);
  explicit Reader(std::shared_ptr<const Artifact> artifact);

  // Goes over to another file; when that fails, throws and goes on with the present one.
  void Reload(const std::string& path, bool verify = true);

  std::shared_ptr<const Artifact> artifact() const { return Current()->artifact; }

  Answer Recommend(const Query& query) const;
  // What Recommend scores with: the factors of the query's user, stored or folded in. For other
  // searches, such as approximate ones, whose candidates Recommend can take as `allow`.
  std::vector<float> UserFactors(const Query& query) const;
  // The n items most like an item by the cosine of their factors, itself left out.
  Answer Similar(const Id& item, int64_t n) const;
  // Scores of (user, item).
  std::vector<float> Score(std::span<const std::pair<Id, Id>> pairs) const;
  Explanation Explain(std::span<const WeightedId> history, const Id& item) const;

  // A batch of known users under one selection (no caps), on up to `num_threads` threads (0: all
  // CPUs).
  std::vector<Answer> RecommendUsers(std::span<const Id> users, int64_t n,
                                     const Selection& selection, int num_threads) const;

 private:
  struct Open {
    std::shared_ptr<const Artifact> artifact;
    std::unique_ptr<const HistoryFoldIn> fold_in;  // null: no items
  };
  static std::shared_ptr<const Open> Load(std::shared_ptr<const Artifact> artifact);
  std::shared_ptr<const Open> Current() const;
  static std::vector<float> FactorsOf(const Open& open, const Query& query);

  mutable std::mutex mutex_;  // of current_, held to copy or swap it
  std::shared_ptr<const Open> current_;
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_READER_H_
