// Interactions: sorted, merged, transposed, averaged.
#include "bench/kernels/bench_support.h"
#include "kernels/base/device_memory.h"
#include "kernels/base/philox.h"
#include "kernels/sparse/average_rows.h"
#include "kernels/sparse/csr.h"

namespace penchant {
namespace {

constexpr int64_t kUsers = 1 << 17, kItems = 1 << 15;

// Pairs in no order, a few of them several times.
void SortAndMerge(benchmark::State& state) {
  const int64_t count = state.range(0);
  Context context(1, BenchDevice());
  std::vector<int32_t> users(count), items(count);
  for (int64_t e = 0; e < count; ++e) {
    const auto words = Philox(2, static_cast<uint64_t>(e), 0);
    users[e] = static_cast<int32_t>(words[0] % kUsers);
    items[e] = static_cast<int32_t>(words[1] % kItems);
  }
  const auto rows = Upload<int32_t>(context, users), cols = Upload<int32_t>(context, items);
  const auto n = static_cast<size_t>(count);
  const Coordinates entries{{rows.data(), n}, {cols.data(), n}, {}};
  Time(state, context,
       [&] { CsrFromCoordinates(context, entries, kUsers, kItems, Duplicates::kSum, nullptr); });
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(SortAndMerge)->Arg(1 << 20)->Arg(1 << 23)->Unit(benchmark::kMillisecond);

void TransposeRows(benchmark::State& state) {
  Context context(1, BenchDevice());
  const Csr host = EvenRows(kUsers, kItems, state.range(0));
  const DeviceCsr rows(context, host.view());
  Time(state, context, [&] { Transpose(context, rows.view(), rows.nnz()); });
  state.SetItemsProcessed(state.iterations() * rows.nnz());
}
BENCHMARK(TransposeRows)->Arg(8)->Arg(64)->Unit(benchmark::kMillisecond);

void AverageLists(benchmark::State& state) {
  Context context(1, BenchDevice());
  const Csr host = EvenRows(kUsers, kItems, 16);
  const DeviceCsr lists(context, host.view());
  const DeviceMatrix table(context, RandomTable(kItems, 64));
  DeviceMatrix out(context, kUsers, 64);
  Time(state, context, [&] { AverageRows(context, lists.view(), table.view(), out.view()); });
  state.SetBytesProcessed(state.iterations() * (lists.nnz() + kUsers) * 64 * 4);
}
BENCHMARK(AverageLists)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penchant
