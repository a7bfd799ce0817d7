/* libpenchant_reader: recommendations from a compact Penchant artifact, in plain C.
 *
 * The library needs nothing but the C++ standard library. Opening maps the file; nothing is copied.
 * All functions may be called from any number of threads on one reader, penchant_reader_reload()
 * among them; only penchant_reader_close() must come last.
 *
 * Functions that can fail return NULL (or a value other than 0) and, where `error` is not NULL, say
 * why in it. Strings and arrays passed in are read during the call alone.
 */
#ifndef PENCHANT_IO_READER_PENCHANT_READER_H_
#define PENCHANT_IO_READER_PENCHANT_READER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PENCHANT_API __attribute__((visibility("default")))

typedef struct penchant_reader penchant_reader;
typedef struct penchant_result penchant_result;

typedef enum {
  PENCHANT_OK = 0,
  PENCHANT_INVALID_ARGUMENT = 1, /* an unknown user or item, n < 1, an empty history, ... */
  PENCHANT_DATA_ERROR = 2,       /* the file is damaged, no artifact, or of a newer version */
  PENCHANT_IO_ERROR = 3,         /* the operating system refused */
  PENCHANT_FAILED = 4            /* anything else: out of memory, a system that has no solution */
} penchant_status;

typedef struct {
  penchant_status status;
  char message[500]; /* ends in 0 */
} penchant_error;

/* An id: text of `length` bytes, or, where text is NULL, a number. */
typedef struct {
  int64_t number;
  const char* text;
  size_t length;
} penchant_id;

typedef struct {
  penchant_id id;
  float weight;
} penchant_weighted_id;

/* A field of the request, for business rules; an attribute with the most items of one value. */
typedef struct {
  const char* field;
  const char* value;
} penchant_context;
typedef struct {
  const char* attribute;
  int64_t most;
} penchant_cap;

/* What is asked for. Zeros mean "not given": start from `penchant_query query = {0};`. */
typedef struct {
  const penchant_id* user;             /* NULL: fold the history in */
  const penchant_weighted_id* history; /* what the user did */
  size_t history_size;
  int64_t n;                       /* how many items at most */
  int keep_history;                /* not 0: the history's items may be returned */
  const penchant_id* filter_items; /* never returned */
  size_t filter_items_size;
  const penchant_id* allow; /* not NULL: nothing else is returned */
  size_t allow_size;
  const penchant_weighted_id* boosts; /* added to the scores of these items */
  size_t boosts_size;
  const penchant_context* context;
  size_t context_size;
  const penchant_cap* caps;
  size_t caps_size;
} penchant_query;

/* Opens the artifact at `path`. `verify`, if not 0, compares all checksums, which reads the file.
 */
PENCHANT_API penchant_reader* penchant_reader_open(const char* path, int verify,
                                                   penchant_error* error);
PENCHANT_API void penchant_reader_close(penchant_reader* reader);

/* Goes over to another file at once, all checksums compared; queries under way end on the old one.
 * When it fails the old one stays. */
PENCHANT_API int penchant_reader_reload(penchant_reader* reader, const char* path,
                                        penchant_error* error);

/* Writes the artifact that `delta` leads to from `base` to `path`, atomically. */
PENCHANT_API int penchant_apply_delta(const char* base, const char* delta, const char* path,
                                      penchant_error* error);

PENCHANT_API int64_t penchant_reader_num_users(const penchant_reader* reader);
PENCHANT_API int64_t penchant_reader_num_items(const penchant_reader* reader);
/* An item's bias, where the model has biases, is one of them. */
PENCHANT_API int64_t penchant_reader_num_factors(const penchant_reader* reader);

/* The best items, best first. Free the result. */
PENCHANT_API penchant_result* penchant_recommend(const penchant_reader* reader,
                                                 const penchant_query* query,
                                                 penchant_error* error);
/* What penchant_recommend() scores with: the factors of the query's user, stored or folded in, for
 * other searches. Fills factors[0 .. penchant_reader_num_factors()). */
PENCHANT_API int penchant_user_factors(const penchant_reader* reader, const penchant_query* query,
                                       float* factors, penchant_error* error);
/* The n items most like an item, itself left out. */
PENCHANT_API penchant_result* penchant_similar(const penchant_reader* reader, penchant_id item,
                                               int64_t n, penchant_error* error);
/* What each item of a history adds to an item's score, largest first. */
PENCHANT_API penchant_result* penchant_explain(const penchant_reader* reader,
                                               const penchant_weighted_id* history,
                                               size_t history_size, penchant_id item,
                                               penchant_error* error);
/* The score of an item for a user. */
PENCHANT_API int penchant_score(const penchant_reader* reader, penchant_id user, penchant_id item,
                                float* score, penchant_error* error);

PENCHANT_API size_t penchant_result_size(const penchant_result* result);
/* Text lasts as long as the result. */
PENCHANT_API penchant_id penchant_result_id(const penchant_result* result, size_t i);
PENCHANT_API float penchant_result_score(const penchant_result* result, size_t i);
PENCHANT_API void penchant_result_free(penchant_result* result);

#ifdef __cplusplus
}
#endif

#endif /* PENCHANT_IO_READER_PENCHANT_READER_H_ */
