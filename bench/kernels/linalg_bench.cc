// Tables, beside single-threaded sgemm, the machine's practical limit.
#include "bench/kernels/bench_support.h"
#include "kernels/base/blas.h"
#include "kernels/base/device_memory.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/finite.h"
#include "kernels/linalg/gram.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/linalg/round_to_bfloat16.h"

namespace penchant {
namespace {

constexpr int64_t kTall = 1 << 18;  // rows of tables that no cache holds

void Sgemm(benchmark::State& state) {
  const int64_t d = state.range(0), rows = 2048;
  const Matrix a = RandomTable(rows, d), b = RandomTable(d, d);
  Matrix c(rows, d);
  for (auto _ : state) {
    blas::Multiply(rows, d, d, a.row(0), a.stride(), b.row(0), b.stride(), c.row(0), c.stride());
  }
  ReportFlops(state, 2.0 * rows * d * d);
}
BENCHMARK(Sgemm)->Arg(64)->Arg(128)->Arg(256)->Arg(512);

// Half of sgemm's operations do: the product is symmetric.
void GramOf(benchmark::State& state) {
  Context context(1, BenchDevice());
  const DeviceMatrix table(context, RandomTable(32768, state.range(0)));
  Time(state, context, [&] { benchmark::DoNotOptimize(Gram(context, table.view())); });
  ReportFlops(state, 32768.0 * state.range(0) * state.range(0));
}
BENCHMARK(GramOf)->Arg(64)->Arg(128)->Arg(256)->Arg(512);

// Of a table so short that the eigendecomposition takes nearly all of the time.
void EigenbasisOf(benchmark::State& state) {
  const int64_t d = state.range(0);
  Context context(1, BenchDevice());
  DeviceMatrix table(context, RandomTable(2 * d, d));
  Time(state, context, [&] { RotateToEigenbasis(context, table.view()); });
}
BENCHMARK(EigenbasisOf)->Arg(64)->Arg(128)->Arg(256)->Arg(512)->Unit(benchmark::kMicrosecond);

void RotateTable(benchmark::State& state) {
  const int64_t d = state.range(0);
  Context context(1, BenchDevice());
  Matrix orthogonal(d, d);  // a permutation: values would grow without bound
  for (int64_t i = 0; i < d; ++i) orthogonal.row(i)[(i + 1) % d] = 1.0f;
  const DeviceMatrix rotation(context, std::move(orthogonal));
  DeviceMatrix table(context, RandomTable(32768, d));
  Time(state, context, [&] { Rotate(context, rotation.view(), table.view()); });
  ReportFlops(state, 2.0 * 32768 * d * d);
}
BENCHMARK(RotateTable)->Arg(64)->Arg(128)->Arg(256);

void NormalizeTable(benchmark::State& state) {
  Context context(1, BenchDevice());
  DeviceMatrix table(context, RandomTable(kTall, 128));
  Time(state, context, [&] { NormalizeRows(context, table.view()); });
  state.SetBytesProcessed(state.iterations() * kTall * 128 * 8);  // read, written
}
BENCHMARK(NormalizeTable);

void CheckFinite(benchmark::State& state) {
  Context context(1, BenchDevice());
  const DeviceMatrix table(context, RandomTable(kTall, 128));
  Time(state, context, [&] { RequireFinite(context, table.view(), "rows"); });
  state.SetBytesProcessed(state.iterations() * kTall * 128 * 4);
}
BENCHMARK(CheckFinite);

void RoundTable(benchmark::State& state) {
  Context context(1, BenchDevice());
  DeviceMatrix table(context, RandomTable(kTall, 128));
  DeviceBuffer<Bfloat16> packed(context, kTall * table.stride());
  Time(state, context, [&] { RoundToBfloat16(context, table.view(), packed.data()); });
  state.SetBytesProcessed(state.iterations() * kTall * 128 * 10);  // read, written, packed
}
BENCHMARK(RoundTable);

}  // namespace
}  // namespace penchant
