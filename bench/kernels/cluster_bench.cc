// k-means: a search for the nearest center is a top-1.
#include "bench/kernels/bench_support.h"
#include "kernels/cluster/k_means.h"

namespace penchant {
namespace {

void NearestOf(benchmark::State& state) {
  const int64_t rows = 1 << 15, d = 64, k = state.range(0);
  Context context(1, BenchDevice());
  const Matrix points = RandomTable(rows, d), centers = RandomTable(k, d);
  Time(state, context, [&] { NearestCenters(context, points.view(), centers.view()); });
  ReportFlops(state, 2.0 * rows * k * d);
}
BENCHMARK(NearestOf)->Arg(8)->Arg(100)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penchant
