// Top-N, and what evaluation needs beside it.
#include <algorithm>

#include "bench/kernels/bench_support.h"
#include "kernels/base/device_memory.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/ranking_metrics.h"
#include "kernels/score/top_k.h"

namespace penchant {
namespace {

constexpr int64_t kUsers = 480, kItems = 40000, kLength = 20;

// `seen` items of every user are left out.
void TopTwenty(benchmark::State& state) {
  const int64_t d = state.range(0), seen = state.range(1);
  Context context(1, BenchDevice());
  const DeviceMatrix items(context, RandomTable(kItems, d));
  const DeviceMatrix users(context, RandomTable(kUsers, d));
  const ItemIndex index(context, items.view());
  DeviceBuffer<int32_t> ids(context, kUsers * kLength);
  DeviceBuffer<float> scores(context, kUsers * kLength);
  const Csr host = EvenRows(kUsers, kItems, std::max<int64_t>(seen, 1));
  const DeviceCsr left_out(context, host.view());
  TopKOptions options;
  options.k = kLength;
  if (seen > 0) options.exclusions = &left_out.view();
  Time(state, context,
       [&] { TopK(context, users.view(), index, options, ids.data(), scores.data()); });
  ReportFlops(state, 2.0 * kUsers * kItems * d);
}
BENCHMARK(TopTwenty)
    ->ArgNames({"d", "seen"})
    ->Args({64, 0})
    ->Args({128, 0})
    ->Args({256, 0})
    ->Args({64, 100});

void JudgeAll(benchmark::State& state) {
  const int64_t users = 1 << 16;
  Context context(1, BenchDevice());
  const Csr host = EvenRows(users, kItems, 10);
  const DeviceCsr test(context, host.view());
  const Csr recommended = EvenRows(users, kItems, kLength);
  const auto ids = Upload<int32_t>(context, recommended.indices);
  std::vector<int32_t> rows(users);
  for (int64_t u = 0; u < users; ++u) rows[u] = static_cast<int32_t>(u);
  const auto judged = Upload<int32_t>(context, rows);
  DeviceBuffer<RankingMetrics> metrics(context, users);
  DeviceBuffer<uint8_t> covered(context, kItems);
  const ListsToJudge lists{ids.data(), users, kLength, judged.data(), test.view(), kLength};
  Time(state, context, [&] { JudgeLists(context, lists, metrics.data(), covered.data()); });
  state.SetItemsProcessed(state.iterations() * users);
}
BENCHMARK(JudgeAll);

void GatherTable(benchmark::State& state) {
  const int64_t rows = 1 << 18, d = 128;
  Context context(1, BenchDevice());
  const DeviceMatrix table(context, RandomTable(rows, d));
  std::vector<int32_t> order(rows);
  for (int64_t i = 0; i < rows; ++i) order[i] = static_cast<int32_t>(i * 7919 % rows);
  const auto chosen = Upload<int32_t>(context, order);
  DeviceMatrix out(context, rows, d);
  Time(state, context, [&] { GatherRows(context, table.view(), chosen.data(), out.view()); });
  state.SetBytesProcessed(state.iterations() * rows * d * 8);  // read, written
}
BENCHMARK(GatherTable);

}  // namespace
}  // namespace penchant
