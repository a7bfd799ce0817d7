#include "bench/kernels/bench_support.h"

#include <cstdlib>

#include "kernels/base/philox.h"

namespace penchant {

std::string BenchDevice() {
  const char* device = std::getenv("PENCHANT_BENCH_DEVICE");
  return device != nullptr ? device : "cpu";
}

Matrix RandomTable(int64_t rows, int64_t cols) {
  Matrix table(rows, cols);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t k = 0; k < cols; ++k) {
      const auto words = Philox(1, static_cast<uint64_t>(i), static_cast<uint64_t>(k));
      table.row(i)[k] = UniformOpen(words[0]) - 0.5f;
    }
  }
  return table;
}

Csr EvenRows(int64_t rows, int64_t cols, int64_t n) {
  Csr matrix;
  matrix.rows = rows;
  matrix.cols = cols;
  matrix.offsets.resize(rows + 1);
  matrix.indices.resize(rows * n);
  const int64_t step = cols / n;
  for (int64_t i = 0; i <= rows; ++i) matrix.offsets[i] = i * n;
  for (int64_t e = 0; e < rows * n; ++e) {
    matrix.indices[e] = static_cast<int32_t>(e / n * 7919 % step + e % n * step);
  }
  return matrix;
}

void ReportFlops(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

}  // namespace penchant
