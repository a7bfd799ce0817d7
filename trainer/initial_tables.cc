#include "trainer/initial_tables.h"

#include <algorithm>

#include "kernels/base/errors.h"
#include "kernels/base/philox.h"

namespace penchant {

void DrawNormal(Context& context, uint64_t seed, double deviation, Matrix* table, int64_t cols) {
  const int64_t d = cols < 0 ? table->cols() : cols;
  const auto scale = static_cast<float>(deviation);
  const int64_t block = 1024;
  context.ParallelFor((table->rows() + block - 1) / block, [&](int64_t b, int) {
    const int64_t end = std::min(table->rows(), (b + 1) * block);
    for (int64_t i = b * block; i < end; ++i) {
      float* row = table->row(i);
      for (int64_t k = 0; k < d; k += 2) {
        const auto words = Philox(seed, static_cast<uint64_t>(i), static_cast<uint64_t>(k));
        const auto normal = StandardNormal(words[0], words[1]);
        row[k] = scale * normal[0];
        if (k + 1 < d) row[k + 1] = scale * normal[1];
      }
    }
  });
}

void CopyRows(const Matrix& from, const char* side, Matrix* to) {
  PENCHANT_REQUIRE(from.cols() == to->cols(), "the model to start from has ", from.cols(),
                   " factors, the config ", to->cols());
  PENCHANT_REQUIRE(from.rows() <= to->rows(), "the model to start from has ", from.rows(), " ",
                   side, ", the interactions only ", to->rows(),
                   "; read them with the model's dictionaries");
  for (int64_t i = 0; i < from.rows(); ++i) {
    std::copy(from.row(i), from.row(i) + from.cols(), to->row(i));
  }
}

}  // namespace penchant
