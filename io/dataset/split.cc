#include "io/dataset/split.h"

#include <algorithm>
#include <cmath>

#include "kernels/base/errors.h"
#include "kernels/base/philox.h"

namespace penchant {
namespace {

void RequireTimes(const Interactions& interactions, const char* what) {
  PENCHANT_REQUIRE(!interactions.events.empty(), what,
                   " needs the time of every interaction: read them with time=<column>");
}

void RequireFraction(double fraction) {
  PENCHANT_REQUIRE(fraction > 0 && fraction < 1, "test_fraction must be in (0, 1); got ", fraction);
}

std::shared_ptr<Interactions> FromEvents(const Interactions& source, EventLog events) {
  auto part = MakeInteractions(source.users, source.items,
                               {events.users, events.items, events.weights}, source.duplicates);
  part->events = std::move(events);
  return part;
}

void Append(const EventLog& from, size_t i, EventLog* to) {
  to->users.push_back(from.users[i]);
  to->items.push_back(from.items[i]);
  if (!from.weights.empty()) to->weights.push_back(from.weights[i]);
  to->times.push_back(from.times[i]);
}

bool Contains(const Csr& matrix, int32_t row, int32_t col) {
  const auto cols = matrix.view().row_indices(row);
  return std::binary_search(cols.begin(), cols.end(), col);
}

}  // namespace

Split SplitAtTime(const Interactions& interactions, int64_t cut, bool keep_cold_users) {
  RequireTimes(interactions, "a split by time");
  const EventLog& events = interactions.events;
  EventLog before, after;
  for (size_t i = 0; i < events.users.size(); ++i) {
    if (events.times[i] < cut) Append(events, i, &before);
  }
  Split split;
  split.train = FromEvents(interactions, std::move(before));
  int64_t cold = 0;
  for (size_t i = 0; i < events.users.size(); ++i) {
    const int32_t user = events.users[i];
    if (events.times[i] < cut || Contains(split.train->user_items, user, events.items[i])) continue;
    if (!keep_cold_users && split.train->user_items.view().row_size(user) == 0) {
      ++cold;
    } else {
      Append(events, i, &after);
    }
  }
  split.test = FromEvents(interactions, std::move(after));
  split.test->report.rows_cold = cold;
  return split;
}

Split SplitByTime(const Interactions& interactions, double test_fraction, bool keep_cold_users) {
  RequireTimes(interactions, "a split by time");
  RequireFraction(test_fraction);
  std::vector<int64_t> times = interactions.events.times;
  const auto n = static_cast<double>(times.size());
  const size_t position =
      std::min(times.size() - 1, static_cast<size_t>(std::llround(n * (1.0 - test_fraction))));
  std::nth_element(times.begin(), times.begin() + position, times.end());
  return SplitAtTime(interactions, times[position], keep_cold_users);
}

Split SplitLastItem(const Interactions& interactions) {
  RequireTimes(interactions, "a split by last item");
  const EventLog& events = interactions.events;
  struct Last {
    int64_t time = 0;
    int32_t item = -1;
  };
  std::vector<Last> last(interactions.num_users());
  for (size_t i = 0; i < events.users.size(); ++i) {
    const int32_t user = events.users[i];
    if (interactions.user_items.view().row_size(user) < 2) continue;
    if (!Contains(interactions.user_items, user, events.items[i])) continue;  // merged to zero
    Last& best = last[user];
    if (best.item < 0 || events.times[i] > best.time ||
        (events.times[i] == best.time && events.items[i] > best.item)) {
      best = {events.times[i], events.items[i]};
    }
  }
  EventLog train, test;
  for (size_t i = 0; i < events.users.size(); ++i) {
    Append(events, i, last[events.users[i]].item == events.items[i] ? &test : &train);
  }
  return {FromEvents(interactions, std::move(train)), FromEvents(interactions, std::move(test))};
}

Split SplitRandom(const Interactions& interactions, double test_fraction, uint64_t seed) {
  RequireFraction(test_fraction);
  const CsrView pairs = interactions.user_items.view();
  const auto in_test = [&](int32_t user, int32_t item) {
    const auto words = Philox(seed, static_cast<uint64_t>(user), static_cast<uint64_t>(item));
    return UniformOpen(words[0]) < test_fraction;
  };
  if (!interactions.events.empty()) {
    EventLog train, test;
    const EventLog& events = interactions.events;
    for (size_t i = 0; i < events.users.size(); ++i) {
      Append(events, i, in_test(events.users[i], events.items[i]) ? &test : &train);
    }
    return {FromEvents(interactions, std::move(train)), FromEvents(interactions, std::move(test))};
  }
  EventLog parts[2];
  for (int64_t user = 0; user < pairs.rows; ++user) {
    for (int64_t i = pairs.offsets[user]; i < pairs.offsets[user + 1]; ++i) {
      EventLog& part = parts[in_test(static_cast<int32_t>(user), pairs.indices[i]) ? 1 : 0];
      part.users.push_back(static_cast<int32_t>(user));
      part.items.push_back(pairs.indices[i]);
      if (pairs.values) part.weights.push_back(pairs.values[i]);
    }
  }
  Split split;
  split.train =
      MakeInteractions(interactions.users, interactions.items,
                       {parts[0].users, parts[0].items, parts[0].weights}, interactions.duplicates);
  split.test =
      MakeInteractions(interactions.users, interactions.items,
                       {parts[1].users, parts[1].items, parts[1].weights}, interactions.duplicates);
  return split;
}

}  // namespace penchant
