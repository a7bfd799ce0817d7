// Feeds an Arrow C stream (pyarrow, polars, pandas, duckdb, ...) into an InteractionsBuilder.
#ifndef PENCHANT_IO_READERS_ARROW_STREAM_H_
#define PENCHANT_IO_READERS_ARROW_STREAM_H_

#include <functional>
#include <string>

#include "io/dataset/interactions_builder.h"
#include "io/readers/arrow_c_data.h"

namespace penchant {

struct ColumnNames {
  std::string user;
  std::string item;
  std::string weight;  // empty: none
  std::string time;    // empty: none
};

// Reads the whole stream batch by batch and releases it, also when it throws. `source` names it in
// messages; `poll` (may be empty) is called between batches. DataError names a missing column and
// the columns there are.
void ReadArrowStream(ArrowArrayStream* stream, const ColumnNames& columns,
                     const std::string& source, const std::function<void()>& poll,
                     InteractionsBuilder* builder);

}  // namespace penchant

#endif  // PENCHANT_IO_READERS_ARROW_STREAM_H_
