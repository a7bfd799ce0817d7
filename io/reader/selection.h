// What a query may return and what it favours, in ids.
#ifndef PENCHANT_IO_READER_SELECTION_H_
#define PENCHANT_IO_READER_SELECTION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "io/artifact/packed_ids.h"

namespace penchant {

struct WeightedId {
  Id id;
  float weight = 1.0f;
};

// Ids that the artifact does not know change nothing: catalogues move faster than artifacts.
struct Selection {
  std::vector<Id> filter_items = {};                    // never returned
  std::optional<std::vector<Id>> allow = std::nullopt;  // nothing else is returned
  std::vector<WeightedId> boosts = {};                  // added to the scores of these items
  std::map<std::string, int64_t> caps = {};             // most items of one value of an attribute
  std::map<std::string, std::string> context = {};      // what business rules ask about
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_SELECTION_H_
