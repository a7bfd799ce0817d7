#include "io/dataset/sequences.h"

#include <algorithm>

namespace penchant {
namespace {

// Event numbers, by user.
std::vector<int64_t> GroupByUser(const EventLog& events, std::vector<int64_t>* bounds) {
  const auto counts = [&](size_t i) { return events.weights.empty() || events.weights[i] > 0; };
  for (size_t i = 0; i < events.users.size(); ++i) {
    if (counts(i)) ++(*bounds)[events.users[i] + 1];
  }
  for (size_t u = 1; u < bounds->size(); ++u) (*bounds)[u] += (*bounds)[u - 1];
  std::vector<int64_t> grouped(bounds->back()), next(bounds->begin(), bounds->end() - 1);
  for (size_t i = 0; i < events.users.size(); ++i) {
    if (counts(i)) grouped[next[events.users[i]]++] = static_cast<int64_t>(i);
  }
  return grouped;
}

void TakeEvents(const EventLog& events, Sequences* sequences) {
  std::vector<int64_t> grouped = GroupByUser(events, &sequences->bounds);
  for (size_t u = 0; u + 1 < sequences->bounds.size(); ++u) {
    std::stable_sort(grouped.begin() + sequences->bounds[u],
                     grouped.begin() + sequences->bounds[u + 1],
                     [&](int64_t a, int64_t b) { return events.times[a] < events.times[b]; });
  }
  sequences->ordered = true;
  sequences->tokens.reserve(grouped.size());
  for (int64_t event : grouped) sequences->tokens.push_back(events.items[event]);
}

void TakePairs(const CsrView& rows, Sequences* sequences) {
  sequences->tokens.reserve(rows.nnz());
  for (int64_t u = 0; u < rows.rows; ++u) {
    const auto items = rows.row_indices(u);
    const float* values = rows.row_values(u);
    for (size_t j = 0; j < items.size(); ++j) {
      if (values == nullptr || values[j] > 0) sequences->tokens.push_back(items[j]);
    }
    sequences->bounds[u + 1] = static_cast<int64_t>(sequences->tokens.size());
  }
}

void ListOccurrences(int64_t num_items, Sequences* sequences) {
  std::vector<int64_t>& offsets = sequences->offsets;
  offsets.assign(num_items + 1, 0);
  for (int32_t item : sequences->tokens) ++offsets[item + 1];
  for (int64_t i = 0; i < num_items; ++i) offsets[i + 1] += offsets[i];
  sequences->positions.resize(sequences->tokens.size());
  sequences->users.resize(sequences->tokens.size());
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  for (size_t u = 0; u + 1 < sequences->bounds.size(); ++u) {
    for (int64_t p = sequences->bounds[u]; p < sequences->bounds[u + 1]; ++p) {
      const int64_t place = next[sequences->tokens[p]]++;
      sequences->positions[place] = p;
      sequences->users[place] = static_cast<int32_t>(u);
    }
  }
}

}  // namespace

Sequences MakeSequences(const Interactions& interactions) {
  Sequences sequences;
  sequences.bounds.assign(interactions.num_users() + 1, 0);
  if (interactions.events.empty()) {
    TakePairs(interactions.user_items.view(), &sequences);
  } else {
    TakeEvents(interactions.events, &sequences);
  }
  ListOccurrences(interactions.num_items(), &sequences);
  return sequences;
}

}  // namespace penchant
