#include "io/reader/selected_rows.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

size_t WordsFor(int64_t bits) { return static_cast<size_t>((bits + 63) / 64); }

bool Holds(const BusinessRule& rule, const std::map<std::string, std::string>& context) {
  for (const RuleCondition& condition : rule.conditions) {
    const auto given = context.find(condition.field);
    // A field that the request does not tell equals nothing.
    const bool equal = given != context.end() &&
                       std::find(condition.values.begin(), condition.values.end(), given->second) !=
                           condition.values.end();
    if (equal != condition.equal) return false;
  }
  return true;
}

}  // namespace

SelectedRows::SelectedRows(const Artifact& artifact, const Selection& selection)
    : artifact_(artifact) {
  for (const auto& [attribute, most] : selection.caps) {
    artifact.RequireAttribute(attribute);
    PENCHANT_REQUIRE(most >= 1, "the cap of \"", attribute, "\" must be at least 1; got ", most);
    caps_.emplace_back(attribute, most);
  }
  for (const BusinessRule& rule : artifact.rules()) {
    if (!Holds(rule, selection.context)) continue;
    denied_.resize(WordsFor(artifact.num_items()));
    for (size_t byte = 0; byte < rule.denied.size(); ++byte) {
      denied_[byte / 8] |= uint64_t{rule.denied[byte]} << (8 * (byte % 8));
    }
  }
  const auto row_of = [&](const Id& id) { return artifact.items().Find(id); };
  for (const Id& id : selection.filter_items) {
    if (const int64_t row = row_of(id); row >= 0) Deny(row);
  }
  if (selection.allow) {
    allowed_.emplace();
    for (const Id& id : *selection.allow) {
      if (const int64_t row = row_of(id); row >= 0) allowed_->push_back(row);
    }
    std::sort(allowed_->begin(), allowed_->end());
    allowed_->erase(std::unique(allowed_->begin(), allowed_->end()), allowed_->end());
  }
  std::map<int64_t, float> boosts;
  for (const WeightedId& boost : selection.boosts) {
    PENCHANT_REQUIRE(std::isfinite(boost.weight), "the boost of item ", boost.id.ToText(), " is ",
                     boost.weight, "; wanted a finite number");
    const int64_t row = row_of(boost.id);
    const bool allowed = !allowed_ || std::binary_search(allowed_->begin(), allowed_->end(), row);
    if (row < 0 || !allowed) continue;
    PENCHANT_REQUIRE(boosts.emplace(row, boost.weight).second, "item ", boost.id.ToText(),
                     " has two boosts");
  }
  for (const auto& [row, boost] : boosts) {
    boosted_.push_back(row);
    boosts_.push_back(boost);
  }
}

void SelectedRows::Deny(int64_t row) {
  denied_.resize(WordsFor(artifact_.num_items()));
  denied_[static_cast<size_t>(row) / 64] |= uint64_t{1} << (row % 64);
}

std::optional<float> SelectedRows::BoostOf(int64_t row) const {
  const auto found = std::lower_bound(boosted_.begin(), boosted_.end(), row);
  if (found == boosted_.end() || *found != row) return std::nullopt;
  return boosts_[static_cast<size_t>(found - boosted_.begin())];
}

std::vector<ScoredRow> SelectedRows::WithinCaps(std::span<const ScoredRow> rows, int64_t n) const {
  std::vector<std::map<int32_t, int64_t>> taken(caps_.size());
  std::vector<ScoredRow> kept;
  for (const ScoredRow& row : rows) {
    if (static_cast<int64_t>(kept.size()) == n) break;
    std::vector<int64_t*> counts;
    bool fits = true;
    for (size_t c = 0; c < caps_.size(); ++c) {
      const int32_t value = artifact_.AttributeOf(caps_[c].first, row.row);
      if (value < 0) continue;  // items without a value are not counted
      int64_t& count = taken[c][value];
      fits &= count < caps_[c].second;
      counts.push_back(&count);
    }
    if (!fits) continue;
    for (int64_t* count : counts) ++*count;
    kept.push_back(row);
  }
  return kept;
}

}  // namespace penchant
