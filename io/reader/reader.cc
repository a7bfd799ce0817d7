#include "io/reader/reader.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "io/reader/panels.h"
#include "io/reader/selected_rows.h"
#include "kernels/base/errors.h"
#include "kernels/base/thread_pool.h"

namespace penchant {
namespace {

int64_t RowOf(const PackedIdsView& ids, const Id& id, const char* what) {
  const int64_t row = ids.Find(id);
  PENCHANT_REQUIRE(row >= 0, what, " ", id.ToText(), " is not among the artifact's ", ids.size(),
                   " (", ids.strings() ? "strings" : "integers", ")");
  return row;
}

void RequireItems(const Artifact& artifact) {
  PENCHANT_REQUIRE(artifact.has_items(), artifact.name(),
                   " has users alone; this takes an artifact of kind full or items");
}

void RequireUsers(const Artifact& artifact) {
  PENCHANT_REQUIRE(artifact.has_users(), artifact.name(),
                   " has no user rows (kind items): pass history=, which is folded in");
}

void RequireCount(int64_t n) {
  PENCHANT_REQUIRE(n >= 1, "n, the number of items wanted, must be at least 1; got ", n);
}

// What the artifact knows of a history; weights of an item given twice are added.
History RequireHistory(const Artifact& artifact, std::span<const WeightedId> history) {
  PENCHANT_REQUIRE(!history.empty(), "the history is empty: there is nothing to fold in");
  std::map<int64_t, float> weights;
  for (const WeightedId& entry : history) {
    PENCHANT_REQUIRE(std::isfinite(entry.weight), "the weight of item ", entry.id.ToText(), " is ",
                     entry.weight, "; wanted a finite number");
    const int64_t row = artifact.items().Find(entry.id);
    if (row >= 0) weights[row] += entry.weight;
  }
  History known;
  for (const auto& [row, weight] : weights) {
    if (weight == 0) continue;
    known.items.push_back(row);
    known.weights.push_back(weight);
  }
  PENCHANT_REQUIRE(!known.items.empty(), "none of the ", history.size(),
                   " items of the history is known to the artifact");
  return known;
}

// The k best rows of the selection for each query, best first.
std::vector<std::vector<ScoredRow>> Search(const Artifact& artifact,
                                           MatrixView<const float> queries,
                                           const SelectedRows& selected, int64_t k) {
  std::vector<BestRows> best(static_cast<size_t>(queries.rows), BestRows(k));
  const auto admit = [&](int64_t, int32_t row) {
    return !selected.IsDenied(row) && !selected.BoostOf(row);
  };
  if (selected.allowed()) {
    PickedRows rows(artifact.item_factors(), *selected.allowed());
    SearchPanels(rows, queries, admit, best.data());
  } else {
    AllRows rows(artifact.item_factors());
    SearchPanels(rows, queries, admit, best.data());
  }
  if (!selected.boosted().empty()) {
    // Boosted rows are scored apart: their scores may beat any threshold.
    const std::vector<int64_t>& rows = selected.boosted();
    for (int64_t q = 0; q < queries.rows; ++q) {
      BestRows all(static_cast<int64_t>(rows.size()));
      PickedRows picked(artifact.item_factors(), rows);
      SearchPanels(
          picked, {queries.row(q), 1, queries.cols, queries.stride},
          [&](int64_t, int32_t row) { return !selected.IsDenied(row); }, &all);
      for (const ScoredRow& found : all.Take()) {
        best[static_cast<size_t>(q)].Offer({found.score + *selected.BoostOf(found.row), found.row});
      }
    }
  }
  std::vector<std::vector<ScoredRow>> found;
  for (BestRows& list : best) found.push_back(list.Take());
  return found;
}

Answer ToAnswer(const Artifact& artifact, std::span<const ScoredRow> rows) {
  Answer answer;
  for (const ScoredRow& row : rows) {
    answer.ids.push_back(artifact.items().At(row.row));
    answer.scores.push_back(row.score);
  }
  return answer;
}

}  // namespace

Reader::Reader(const std::string& path, bool verify) { Reload(path, verify); }

Reader::Reader(std::shared_ptr<const Artifact> artifact) : current_(Load(std::move(artifact))) {}

std::shared_ptr<const Reader::Open> Reader::Load(std::shared_ptr<const Artifact> artifact) {
  auto open = std::make_shared<Open>();
  if (artifact->has_items()) open->fold_in = std::make_unique<HistoryFoldIn>(*artifact);
  open->artifact = std::move(artifact);
  return open;
}

void Reader::Reload(const std::string& path, bool verify) {
  auto artifact = Artifact::Open(path);
  if (verify) artifact->Verify();
  auto open = Load(std::move(artifact));
  const std::lock_guard lock(mutex_);
  current_.swap(open);
}

std::shared_ptr<const Reader::Open> Reader::Current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::vector<float> Reader::FactorsOf(const Open& open, const Query& query) {
  const Artifact& artifact = *open.artifact;
  if (!query.user) {
    RequireItems(artifact);
    return open.fold_in->User(RequireHistory(artifact, query.history));
  }
  RequireUsers(artifact);
  std::vector<float> factors(static_cast<size_t>(artifact.factors()));
  artifact.user_factors().Row(RowOf(artifact.users(), *query.user, "user"), factors.data());
  return factors;
}

std::vector<float> Reader::UserFactors(const Query& query) const {
  return FactorsOf(*Current(), query);
}

Answer Reader::Recommend(const Query& query) const {
  const auto open = Current();
  const Artifact& artifact = *open->artifact;
  RequireItems(artifact);
  RequireCount(query.n);
  Matrix user(1, artifact.factors());
  const std::vector<float> factors = FactorsOf(*open, query);
  std::copy(factors.begin(), factors.end(), user.row(0));
  SelectedRows selected(artifact, query.selection);
  if (query.filter_history) {
    for (const WeightedId& entry : query.history) {
      if (const int64_t row = artifact.items().Find(entry.id); row >= 0) selected.Deny(row);
    }
  }
  const auto search = [&](int64_t k) {
    return Search(artifact, std::as_const(user).view(), selected, k).front();
  };
  const int64_t most = artifact.num_items(), n = std::min(query.n, std::max<int64_t>(most, 1));
  std::vector<ScoredRow> rows;
  if (!selected.has_caps()) {
    rows = search(n);
  } else {
    // Longer lists, until enough of one keeps within the caps.
    for (int64_t k = 4 * n;; k *= 4) {
      const std::vector<ScoredRow> longer = search(std::min(k, most));
      rows = selected.WithinCaps(longer, n);
      if (static_cast<int64_t>(rows.size()) == n || k >= most) break;
    }
  }
  return ToAnswer(artifact, rows);
}

Answer Reader::Similar(const Id& item, int64_t n) const {
  const auto open = Current();
  const Artifact& artifact = *open->artifact;
  RequireItems(artifact);
  RequireCount(n);
  const int64_t row = RowOf(artifact.items(), item, "item");
  Matrix query(1, artifact.factors());
  artifact.item_factors().Row(row, query.row(0));
  if (artifact.has_biases()) query.row(0)[artifact.factors() - 1] = 0.0f;
  const float norm = RowNorm(query.row(0), artifact.factors());
  for (int64_t k = 0; norm > 0 && k < artifact.factors(); ++k) query.row(0)[k] /= norm;
  AllDirections directions(artifact.item_factors(), artifact.has_biases());
  BestRows best(std::min(n, std::max<int64_t>(artifact.num_items(), 1)));
  SearchPanels(
      directions, std::as_const(query).view(),
      [row](int64_t, int32_t other) { return other != row; }, &best);
  return ToAnswer(artifact, best.Take());
}

std::vector<float> Reader::Score(std::span<const std::pair<Id, Id>> pairs) const {
  const auto open = Current();
  const Artifact& artifact = *open->artifact;
  RequireItems(artifact);
  RequireUsers(artifact);
  std::vector<float> scores;
  Matrix user(1, artifact.factors());
  for (const auto& [user_id, item_id] : pairs) {
    artifact.user_factors().Row(RowOf(artifact.users(), user_id, "user"), user.row(0));
    const int64_t row = RowOf(artifact.items(), item_id, "item");
    // By the same search, so that a pair has the score it has in a list.
    PickedRows picked(artifact.item_factors(), std::span(&row, 1));
    BestRows best(1);
    SearchPanels(picked, std::as_const(user).view(), [](int64_t, int32_t) { return true; }, &best);
    const auto found = best.Take();
    scores.push_back(found.empty() ? std::numeric_limits<float>::quiet_NaN() : found[0].score);
  }
  return scores;
}

Explanation Reader::Explain(std::span<const WeightedId> history, const Id& item) const {
  const auto open = Current();
  const Artifact& artifact = *open->artifact;
  RequireItems(artifact);
  const History known = RequireHistory(artifact, history);
  const auto parts = open->fold_in->Explain(known, RowOf(artifact.items(), item, "item"));
  Explanation explanation;
  for (size_t j = 0; j < parts.size(); ++j) {
    explanation.score += parts[j];
    explanation.parts.push_back(
        {artifact.items().At(known.items[j]), static_cast<float>(parts[j])});
  }
  std::stable_sort(explanation.parts.begin(), explanation.parts.end(),
                   [](const WeightedId& a, const WeightedId& b) { return a.weight > b.weight; });
  return explanation;
}

std::vector<Answer> Reader::RecommendUsers(std::span<const Id> users, int64_t n,
                                           const Selection& selection, int num_threads) const {
  const auto open = Current();
  const Artifact& artifact = *open->artifact;
  RequireItems(artifact);
  RequireUsers(artifact);
  RequireCount(n);
  PENCHANT_REQUIRE(selection.caps.empty(), "caps are of single queries; got ",
                   selection.caps.size(), " for a batch");
  const SelectedRows selected(artifact, selection);
  const int64_t count = static_cast<int64_t>(users.size()), block = SearchBlock();
  const int64_t k = std::min(n, std::max<int64_t>(artifact.num_items(), 1));
  std::vector<Answer> answers(users.size());
  const auto answer_block = [&](int64_t b, int) {
    const int64_t begin = b * block, end = std::min(count, begin + block);
    Matrix queries(end - begin, artifact.factors());
    for (int64_t q = begin; q < end; ++q) {
      artifact.user_factors().Row(RowOf(artifact.users(), users[static_cast<size_t>(q)], "user"),
                                  queries.row(q - begin));
    }
    const auto found = Search(artifact, std::as_const(queries).view(), selected, k);
    for (int64_t q = begin; q < end; ++q) {
      answers[static_cast<size_t>(q)] = ToAnswer(artifact, found[static_cast<size_t>(q - begin)]);
    }
  };
  ThreadPool(num_threads).ParallelFor((count + block - 1) / block, answer_block);
  return answers;
}

}  // namespace penchant
