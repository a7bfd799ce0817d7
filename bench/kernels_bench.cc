// GFLOP/s of the kernels beside single-threaded sgemm, the machine's practical limit.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/als/solve_rows.h"
#include "kernels/base/blas.h"
#include "kernels/base/context.h"
#include "kernels/base/memory.h"
#include "kernels/base/philox.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/gram.h"
#include "kernels/linalg/round_to_bfloat16.h"
#include "kernels/score/top_k.h"

namespace penchant {
namespace {

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

void Report(benchmark::State& state, double flops) {
  state.counters["GFLOP/s"] = benchmark::Counter(
      flops * 1e-9 * static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}

void Sgemm(benchmark::State& state) {
  const int64_t d = state.range(0), rows = 2048;
  const Matrix a = RandomTable(rows, d), b = RandomTable(d, d);
  Matrix c(rows, d);
  for (auto _ : state) {
    blas::Multiply(rows, d, d, a.row(0), a.stride(), b.row(0), b.stride(), c.row(0), c.stride());
  }
  Report(state, 2.0 * rows * d * d);
}
BENCHMARK(Sgemm)->Arg(64)->Arg(128)->Arg(256)->Arg(512);

// $PENCHANT_BENCH_DEVICE ("cuda"), or the CPU.
std::string Device() {
  const char* device = std::getenv("PENCHANT_BENCH_DEVICE");
  return device != nullptr ? device : "cpu";
}

// Rows of n observations against d factors, as floats or as bfloat16; flops as the solver's shorter
// side needs them.
template <bool kBfloat16>
void SolveRowsOf(benchmark::State& state) {
  const int64_t n = state.range(0), d = state.range(1), rows = 512, items = 4096;
  Context context(1, Device());
  DeviceMatrix table(context, RandomTable(items, d));
  const Eigenbasis basis = RotateToEigenbasis(context, table.view());
  std::vector<int64_t> offsets(rows + 1);
  std::vector<int32_t> indices(rows * n);
  for (int64_t i = 0; i <= rows; ++i) offsets[i] = i * n;
  for (int64_t e = 0; e < rows * n; ++e) {
    indices[e] = static_cast<int32_t>((e / n * 7919 + e % n * (items / n)) % items);
  }
  const DeviceCsr observations(context, {rows, items, offsets.data(), indices.data(), nullptr});
  const RowPlan plan(context, observations.view(), d);
  const AlsObjective objective;
  DeviceMatrix out(context, rows, d);
  DeviceBuffer<Bfloat16> packed(context, kBfloat16 ? items * table.stride() : 0);
  if (kBfloat16) RoundToBfloat16(context, table.view(), packed.data());
  const FixedSide fixed{table.view(), basis.eigenvalues.data(),
                        kBfloat16 ? packed.data() : nullptr};
  context.Synchronize();
  for (auto _ : state) {
    SolveRows(context, objective, fixed, observations.view(), plan, out.view());
    context.Synchronize();
  }
  const double order = static_cast<double>(n <= d ? n : d),
               other = static_cast<double>(n <= d ? d : n);
  Report(state, static_cast<double>(rows) *
                    (order * order * other + order * order * order / 3 + 4.0 * n * d));
}
BENCHMARK(SolveRowsOf<false>)
    ->ArgNames({"n", "d"})
    ->Args({8, 64})
    ->Args({16, 64})
    ->Args({32, 64})
    ->Args({64, 64})
    ->Args({128, 64})
    ->Args({512, 64})
    ->Args({16, 128})
    ->Args({64, 128})
    ->Args({128, 128})
    ->Args({512, 128})
    ->Args({16, 256})
    ->Args({64, 256})
    ->Args({128, 256})
    ->Args({256, 256})
    ->Args({1024, 256})
    ->Args({64, 512})
    ->Args({400, 512})
    ->Args({2048, 512});
BENCHMARK(SolveRowsOf<true>)
    ->ArgNames({"n", "d"})
    ->Args({16, 128})
    ->Args({64, 128})
    ->Args({512, 128});

// A table of d columns to bfloat16, packed.
void RoundTable(benchmark::State& state) {
  const int64_t d = state.range(0), rows = 1 << 18;
  Context context(1, Device());
  DeviceMatrix table(context, RandomTable(rows, d));
  DeviceBuffer<Bfloat16> packed(context, rows * table.stride());
  context.Synchronize();
  for (auto _ : state) {
    RoundToBfloat16(context, table.view(), packed.data());
    context.Synchronize();
  }
  state.SetBytesProcessed(state.iterations() * rows * d * 10);  // read, written, packed
}
BENCHMARK(RoundTable)->Arg(128);

void GramOf(benchmark::State& state) {
  Context context(1, Device());
  const DeviceMatrix table(context, RandomTable(32768, state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(Gram(context, table.view()));
  Report(state, 32768.0 * state.range(0) * state.range(0));
}
BENCHMARK(GramOf)->Arg(64)->Arg(128)->Arg(256)->Arg(512);

void RotateTable(benchmark::State& state) {
  Context context(1, Device());
  const DeviceMatrix rotation(context, RandomTable(state.range(0), state.range(0)));
  for (auto _ : state) {
    state.PauseTiming();
    // Anew: values would grow without bound.
    DeviceMatrix table(context, RandomTable(32768, state.range(0)));
    context.Synchronize();
    state.ResumeTiming();
    Rotate(context, rotation.view(), table.view());
    context.Synchronize();
  }
  Report(state, 2.0 * 32768 * state.range(0) * state.range(0));
}
BENCHMARK(RotateTable)->Arg(64)->Arg(256)->Iterations(5);

void TopTwenty(benchmark::State& state) {
  Context context(1, Device());
  const DeviceMatrix items(context, RandomTable(40000, state.range(0)));
  const DeviceMatrix users(context, RandomTable(480, state.range(0)));
  const ItemIndex index(context, items.view());
  DeviceBuffer<int32_t> ids(context, 480 * 20);
  DeviceBuffer<float> scores(context, 480 * 20);
  TopKOptions options;
  options.k = 20;
  for (auto _ : state) {
    TopK(context, users.view(), index, options, ids.data(), scores.data());
    context.Synchronize();
  }
  Report(state, 2.0 * 480 * 40000 * state.range(0));
}
BENCHMARK(TopTwenty)->Arg(64)->Arg(128)->Arg(256);

}  // namespace
}  // namespace penchant

BENCHMARK_MAIN();
