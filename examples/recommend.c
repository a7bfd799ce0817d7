/* Recommends from an artifact to whoever has a history:
 *   cc recommend.c $(pkg-config --cflags --libs penchant_reader) -o recommend
 *   ./recommend movielens.penchant 50 172 181
 */
#include <inttypes.h>
#include <penchant_reader.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: %s ARTIFACT ITEM...\n", argv[0]);
    return 2;
  }
  penchant_error error;
  penchant_reader* reader = penchant_reader_open(argv[1], 1, &error);
  if (reader == NULL) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  const size_t count = (size_t)argc - 2;
  penchant_weighted_id* history = calloc(count, sizeof(*history));
  for (size_t i = 0; i < count; ++i) {
    history[i].id.number = strtoll(argv[2 + i], NULL, 10);
    history[i].weight = 1.0f;
  }
  penchant_query query = {0};
  query.history = history;
  query.history_size = count;
  query.n = 10;
  penchant_result* result = penchant_recommend(reader, &query, &error);
  if (result == NULL) fprintf(stderr, "%s\n", error.message);
  for (size_t i = 0; result != NULL && i < penchant_result_size(result); ++i) {
    printf("%" PRId64 " %.4f\n", penchant_result_id(result, i).number,
           penchant_result_score(result, i));
  }
  const int failed = result == NULL;
  penchant_result_free(result);
  free(history);
  penchant_reader_close(reader);
  return failed;
}
