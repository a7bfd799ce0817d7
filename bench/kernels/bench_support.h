// What the kernels' benchmarks share: the device, seeded data, and how results are told.
#ifndef PENCHANT_BENCH_KERNELS_BENCH_SUPPORT_H_
#define PENCHANT_BENCH_KERNELS_BENCH_SUPPORT_H_

#include <benchmark/benchmark.h>

#include <string>

#include "kernels/base/context.h"
#include "kernels/base/memory.h"
#include "kernels/sparse/csr.h"

namespace penchant {

// $PENCHANT_BENCH_DEVICE ("cuda"), or the CPU.
std::string BenchDevice();

// Uniform in (-0.5, 0.5).
Matrix RandomTable(int64_t rows, int64_t cols);

// Rows of n distinct columns each, all values 1.
Csr EvenRows(int64_t rows, int64_t cols, int64_t n);

// Times work() to its end on the device.
template <typename Work>
void Time(benchmark::State& state, Context& context, const Work& work) {
  context.Synchronize();
  for (auto _ : state) {
    work();
    context.Synchronize();
  }
}

// GFLOP/s, of so many operations an iteration.
void ReportFlops(benchmark::State& state, double flops);

}  // namespace penchant

#endif  // PENCHANT_BENCH_KERNELS_BENCH_SUPPORT_H_
