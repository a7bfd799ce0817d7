#include "io/readers/arrow_stream.h"

#include <cstring>
#include <optional>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

// Releases what the C interface lent us.
template <typename T>
struct Released {
  T value{};
  Released() = default;
  Released(const Released&) = delete;
  Released& operator=(const Released&) = delete;
  ~Released() {
    if (value.release) value.release(&value);
  }
};

int64_t FindColumn(const ArrowSchema& schema, const std::string& name, const char* role,
                   const std::string& source) {
  std::string available;
  for (int64_t i = 0; i < schema.n_children; ++i) {
    const char* child = schema.children[i]->name ? schema.children[i]->name : "";
    if (name == child) return i;
    available += std::string(available.empty() ? "" : ", ") + "\"" + child + "\"";
  }
  throw DataError(source + ": no column \"" + name + "\" for " + role + "=; the columns are " +
                  available);
}

void Check(int code, ArrowArrayStream* stream, const std::string& source) {
  if (code == 0) return;
  const char* error = stream->get_last_error(stream);
  throw DataError(source + ": the Arrow stream failed: " + (error ? error : std::strerror(code)));
}

}  // namespace

void ReadArrowStream(ArrowArrayStream* stream, const ColumnNames& columns,
                     const std::string& source, const std::function<void()>& poll,
                     InteractionsBuilder* builder) {
  Released<ArrowArrayStream> owned;
  owned.value = *stream;
  stream->release = nullptr;

  Released<ArrowSchema> schema;
  Check(owned.value.get_schema(&owned.value, &schema.value), &owned.value, source);
  PENCHANT_CHECK(std::strcmp(schema.value.format, "+s") == 0, DataError, source,
                 ": the Arrow stream holds \"", schema.value.format,
                 "\", wanted a table with named columns");
  const int64_t user = FindColumn(schema.value, columns.user, "user", source);
  const int64_t item = FindColumn(schema.value, columns.item, "item", source);
  const int64_t weight =
      columns.weight.empty() ? -1 : FindColumn(schema.value, columns.weight, "weight", source);
  const int64_t time =
      columns.time.empty() ? -1 : FindColumn(schema.value, columns.time, "time", source);

  int64_t first_row = 1;
  for (;;) {
    if (poll) poll();
    Released<ArrowArray> batch;
    Check(owned.value.get_next(&owned.value, &batch.value), &owned.value, source);
    if (batch.value.release == nullptr) break;  // the end
    const ArrowArray& rows = batch.value;
    const auto column = [&](int64_t index) {
      return ArrowColumn(*schema.value.children[index], *rows.children[index], rows.offset,
                         rows.length);
    };
    const ArrowColumn user_column = column(user);
    const ArrowColumn item_column = column(item);
    std::optional<ArrowColumn> weight_column, time_column;
    if (weight >= 0) weight_column.emplace(column(weight));
    if (time >= 0) time_column.emplace(column(time));
    builder->Add(user_column, item_column, weight_column ? &*weight_column : nullptr,
                 time_column ? &*time_column : nullptr, source, first_row);
    first_row += rows.length;
  }
}

}  // namespace penchant
