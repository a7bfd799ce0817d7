// An epoch of ranking by SGD; items are positives times negatives a step looks at.
#include "bench/kernels/bench_support.h"
#include "kernels/base/device_memory.h"
#include "kernels/sgd/ranking_epoch.h"

namespace penchant {
namespace {

template <RankingLoss kLoss>
void RankEpoch(benchmark::State& state) {
  const int64_t users = 1 << 13, items = 1 << 14, each = 32, negatives = state.range(0), d = 64;
  const bool deterministic = state.range(1) != 0;
  Context context(1, BenchDevice());
  const Csr host = EvenRows(users, items, each);
  const DeviceCsr rows(context, host.view());
  DeviceMatrix user_factors(context, RandomTable(users, d));
  DeviceMatrix item_factors(context, RandomTable(items, d));
  RankingEpoch epoch;
  epoch.objective = {kLoss, 0.01, 4, negatives, 0.0, 1.0};
  epoch.negatives = {.num_items = items};
  epoch.learning_rate = 1e-4;
  const EpochOrder order(context, CsrPositives{host.view()}, epoch.part, epoch.objective.batch,
                         deterministic);
  Time(state, context, [&] {
    RunRankingEpoch(context, epoch, order, CsrPositives{rows.view()},
                    {user_factors.view(), item_factors.view(), {}, {}});
  });
  state.SetItemsProcessed(state.iterations() * host.nnz() * negatives);
}
BENCHMARK(RankEpoch<RankingLoss::kBpr>)
    ->ArgNames({"negatives", "deterministic"})
    ->Args({4, 0})
    ->Args({64, 0})
    ->Args({64, 1})
    ->Unit(benchmark::kMillisecond);
BENCHMARK(RankEpoch<RankingLoss::kSoftmax>)
    ->ArgNames({"negatives", "deterministic"})
    ->Args({64, 0})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace penchant
