// Half an ALS iteration, row by row, and what goes with it.
#include "bench/kernels/bench_support.h"
#include "kernels/als/loss.h"
#include "kernels/als/row_plan.h"
#include "kernels/als/solve_rows.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/round_to_bfloat16.h"

namespace penchant {
namespace {

// Rows of n observations against d factors, as floats or as bfloat16; flops as the solver's shorter
// side needs them.
template <bool kBfloat16>
void SolveRowsOf(benchmark::State& state) {
  const int64_t n = state.range(0), d = state.range(1), rows = 512, items = 4096;
  Context context(1, BenchDevice());
  DeviceMatrix table(context, RandomTable(items, d));
  const Eigenbasis basis = RotateToEigenbasis(context, table.view());
  const Csr host = EvenRows(rows, items, n);
  const DeviceCsr observations(context, host.view());
  const RowPlan plan(context, observations.view(), d);
  const AlsObjective objective;
  DeviceMatrix out(context, rows, d);
  DeviceBuffer<Bfloat16> packed(context, kBfloat16 ? items * table.stride() : 0);
  if (kBfloat16) RoundToBfloat16(context, table.view(), packed.data());
  const FixedSide fixed{table.view(), basis.eigenvalues.data(),
                        kBfloat16 ? packed.data() : nullptr};
  Time(state, context,
       [&] { SolveRows(context, objective, fixed, observations.view(), plan, out.view()); });
  const double order = static_cast<double>(n <= d ? n : d),
               other = static_cast<double>(n <= d ? d : n);
  ReportFlops(state, static_cast<double>(rows) *
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

// The order of rows, once a fit.
void PlanRows(benchmark::State& state) {
  Context context(1, BenchDevice());
  const int64_t rows = 1 << 20;
  const Csr host = EvenRows(rows, 4096, 8);
  const DeviceCsr observations(context, host.view());
  Time(state, context, [&] { RowPlan(context, observations.view(), 128); });
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(PlanRows);

// The objective of a million interactions; flops of scores and of both Gram matrices.
void LossOf(benchmark::State& state) {
  const int64_t d = state.range(0), users = 1 << 14, items = 1 << 14;
  Context context(1, BenchDevice());
  const DeviceMatrix user_factors(context, RandomTable(users, d));
  const DeviceMatrix item_factors(context, RandomTable(items, d));
  const Csr host = EvenRows(users, items, 64);
  const CsrBlocks by_user(context, host.view());
  const CsrBlocks by_item(Transpose(context, by_user.shape(0), host.nnz()));
  Time(state, context,
       [&] { AlsLoss(context, {}, user_factors.view(), item_factors.view(), by_user, by_item); });
  ReportFlops(state, 2.0 * host.nnz() * d + static_cast<double>(users + items) * d * d);
}
BENCHMARK(LossOf)->Arg(64)->Arg(128)->Arg(256);

}  // namespace
}  // namespace penchant
