#include "io/reader/penchant_reader.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "io/artifact/delta.h"
#include "io/reader/reader.h"
#include "kernels/base/errors.h"

struct penchant_reader {
  penchant::Reader reader;
};

struct penchant_result {
  std::vector<penchant::WeightedId> rows;
};

namespace {

using penchant::Id;
using penchant::WeightedId;

void Tell(penchant_error* error, penchant_status status, const char* message) {
  if (error == nullptr) return;
  error->status = status;
  std::strncpy(error->message, message, sizeof(error->message) - 1);
  error->message[sizeof(error->message) - 1] = '\0';
}

// Runs `body`; no exception leaves the library.
template <typename T, typename Body>
T Guarded(penchant_error* error, T failed, const Body& body) noexcept {
  try {
    Tell(error, PENCHANT_OK, "");
    return body();
  } catch (const penchant::InvalidArgument& e) {
    Tell(error, PENCHANT_INVALID_ARGUMENT, e.what());
  } catch (const penchant::DataError& e) {
    Tell(error, PENCHANT_DATA_ERROR, e.what());
  } catch (const penchant::IoError& e) {
    Tell(error, PENCHANT_IO_ERROR, e.what());
  } catch (const std::exception& e) {
    Tell(error, PENCHANT_FAILED, e.what());
  }
  return failed;
}

void Require(const void* pointer, const char* what) {
  PENCHANT_REQUIRE(pointer != nullptr, what, " is NULL");
}

Id ToId(const penchant_id& id) {
  return id.text != nullptr ? Id(std::string_view(id.text, id.length)) : Id(id.number);
}

template <typename C, typename Convert>
auto ToList(const C* values, size_t size, const char* what, const Convert& convert) {
  if (size > 0) Require(values, what);
  std::vector<decltype(convert(*values))> list;
  for (size_t i = 0; i < size; ++i) list.push_back(convert(values[i]));
  return list;
}

WeightedId ToWeightedId(const penchant_weighted_id& id) { return {ToId(id.id), id.weight}; }

penchant::Query ToQuery(const penchant_query& given) {
  penchant::Query query;
  if (given.user != nullptr) query.user = ToId(*given.user);
  query.history = ToList(given.history, given.history_size, "history", ToWeightedId);
  query.n = given.n;
  query.filter_history = given.keep_history == 0;
  penchant::Selection& selection = query.selection;
  selection.filter_items =
      ToList(given.filter_items, given.filter_items_size, "filter_items", ToId);
  if (given.allow != nullptr) {
    selection.allow = ToList(given.allow, given.allow_size, "allow", ToId);
  }
  selection.boosts = ToList(given.boosts, given.boosts_size, "boosts", ToWeightedId);
  if (given.context_size > 0) Require(given.context, "context");
  for (size_t i = 0; i < given.context_size; ++i) {
    Require(given.context[i].field, "a context's field");
    Require(given.context[i].value, "a context's value");
    selection.context[given.context[i].field] = given.context[i].value;
  }
  if (given.caps_size > 0) Require(given.caps, "caps");
  for (size_t i = 0; i < given.caps_size; ++i) {
    Require(given.caps[i].attribute, "a cap's attribute");
    selection.caps[given.caps[i].attribute] = given.caps[i].most;
  }
  return query;
}

penchant_result* ToResult(penchant::Answer answer) {
  auto result = std::make_unique<penchant_result>();
  for (size_t i = 0; i < answer.ids.size(); ++i) {
    result->rows.push_back({std::move(answer.ids[i]), answer.scores[i]});
  }
  return result.release();
}

}  // namespace

extern "C" {

penchant_reader* penchant_reader_open(const char* path, int verify, penchant_error* error) {
  return Guarded<penchant_reader*>(error, nullptr, [&] {
    Require(path, "path");
    return new penchant_reader{penchant::Reader(path, verify != 0)};
  });
}

void penchant_reader_close(penchant_reader* reader) { delete reader; }

int penchant_reader_reload(penchant_reader* reader, const char* path, penchant_error* error) {
  return Guarded<int>(error, -1, [&] {
    Require(reader, "reader");
    Require(path, "path");
    reader->reader.Reload(path);
    return 0;
  });
}

int penchant_apply_delta(const char* base, const char* delta, const char* path,
                         penchant_error* error) {
  return Guarded<int>(error, -1, [&] {
    Require(base, "base");
    Require(delta, "delta");
    Require(path, "path");
    penchant::ApplyDelta(base, delta, path);
    return 0;
  });
}

int64_t penchant_reader_num_users(const penchant_reader* reader) {
  return reader->reader.artifact()->num_users();
}

int64_t penchant_reader_num_items(const penchant_reader* reader) {
  return reader->reader.artifact()->num_items();
}

int64_t penchant_reader_num_factors(const penchant_reader* reader) {
  return reader->reader.artifact()->factors();
}

int penchant_user_factors(const penchant_reader* reader, const penchant_query* query,
                          float* factors, penchant_error* error) {
  return Guarded<int>(error, -1, [&] {
    Require(reader, "reader");
    Require(query, "query");
    Require(factors, "factors");
    const std::vector<float> found = reader->reader.UserFactors(ToQuery(*query));
    std::copy(found.begin(), found.end(), factors);
    return 0;
  });
}

penchant_result* penchant_recommend(const penchant_reader* reader, const penchant_query* query,
                                    penchant_error* error) {
  return Guarded<penchant_result*>(error, nullptr, [&] {
    Require(reader, "reader");
    Require(query, "query");
    return ToResult(reader->reader.Recommend(ToQuery(*query)));
  });
}

penchant_result* penchant_similar(const penchant_reader* reader, penchant_id item, int64_t n,
                                  penchant_error* error) {
  return Guarded<penchant_result*>(error, nullptr, [&] {
    Require(reader, "reader");
    return ToResult(reader->reader.Similar(ToId(item), n));
  });
}

penchant_result* penchant_explain(const penchant_reader* reader,
                                  const penchant_weighted_id* history, size_t history_size,
                                  penchant_id item, penchant_error* error) {
  return Guarded<penchant_result*>(error, nullptr, [&] {
    Require(reader, "reader");
    const auto list = ToList(history, history_size, "history", ToWeightedId);
    return new penchant_result{reader->reader.Explain(list, ToId(item)).parts};
  });
}

int penchant_score(const penchant_reader* reader, penchant_id user, penchant_id item, float* score,
                   penchant_error* error) {
  return Guarded<int>(error, -1, [&] {
    Require(reader, "reader");
    Require(score, "score");
    const std::pair<Id, Id> pair(ToId(user), ToId(item));
    *score = reader->reader.Score({&pair, 1}).front();
    return 0;
  });
}

size_t penchant_result_size(const penchant_result* result) { return result->rows.size(); }

penchant_id penchant_result_id(const penchant_result* result, size_t i) {
  const Id& id = result->rows[i].id;
  if (id.text) return {0, id.text->data(), id.text->size()};
  return {id.number, nullptr, 0};
}

float penchant_result_score(const penchant_result* result, size_t i) {
  return result->rows[i].weight;
}

void penchant_result_free(penchant_result* result) { delete result; }

}  // extern "C"
