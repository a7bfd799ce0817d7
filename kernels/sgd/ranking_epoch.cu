#include "kernels/base/ptx.cuh"
#include "kernels/base/thrust.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sgd/ranking_steps.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr int kWarps = 4;  // a block, or fewer where a step has so many rows that they do not fit

struct WarpReport {
  double loss;
  unsigned long long positives;
};

constexpr unsigned long long kNone = ~0ull;

// Warps walk users [begin, end) of the order, each every warps-th. kItemsMove: items move at once,
// pulled by all warps. Else they stay, and what they are asked is kept in `walk`, from each user's
// first step on.
template <bool kItemsMove, typename Source>
__global__ void WalkUsersKernel(RankingRule rule, Walk walk, const int32_t* order,
                                const int64_t* first_steps, int64_t begin, int64_t end,
                                Source source, RankingTables tables, WarpReport* reports,
                                unsigned long long* failed) {
  PENCHANT_SHARED(shared);
  const int warps_a_block = static_cast<int>(blockDim.x) / kWarpSize;
  const int warp_in_block = WarpIndex(), lane = threadIdx.x % kWarpSize;
  const int64_t warp = int64_t{blockIdx.x} * warps_a_block + warp_in_block;
  const int64_t warps = int64_t{gridDim.x} * warps_a_block;
  const WarpMemory w =
      WarpMemoryOf(reinterpret_cast<float*>(shared), warp_in_block, tables.items.stride,
                   rule.rows_a_step(), rule.dropped_bytes > 0);
  for (int64_t i = begin + warp; i < end; i += warps) {
    const int32_t user = order[i];
    float* row = tables.users.data + user * tables.users.stride;
    ForEachOwn(tables.users.stride, lane, [&](int64_t k) { w.user[k] = row[k]; });
    __syncwarp();
    int64_t step = kItemsMove ? 0 : first_steps[i];
    WarpReport report = {0, 0};
    bool good = true;
    auto cursor = source.Begin(user);
    while (good) {
      // The step's positives; lane 0 lists them.
      int P = 0;
      int64_t position = 0;
      Positive positive;
      while (P < rule.batch && source.Next(walk.part, &cursor, &positive)) {
        if (P == 0) position = positive.position;
        if (lane == 0) w.rows[P] = positive.item;
        ++P;
      }
      __syncwarp();
      if (Agreed(P == 0)) break;
      const float loss =
          Step<kItemsMove>(rule, walk, tables, w, source, user, P, position, step++, lane);
      good = Agreed(isfinite(loss));
      if (!good && lane == 0) atomicMin(failed, static_cast<unsigned long long>(position));
      report.loss += loss;
      report.positives += P;
      __syncwarp();
    }
    ForEachOwn(tables.users.stride, lane, [&](int64_t k) { row[k] = w.user[k]; });
    __syncwarp();
    if (lane == 0) reports[user] = report;
  }
}

// Sorted places of one item are its pulls, in order: the first one's warp moves the item.
__global__ void MoveItemsKernel(RankingRule rule, const int32_t* items, const int64_t* places,
                                int64_t count, Walk walk, RankingTables tables) {
  PENCHANT_SHARED(shared);
  const int warps_a_block = static_cast<int>(blockDim.x) / kWarpSize;
  const int warp_in_block = WarpIndex(), lane = threadIdx.x % kWarpSize;
  const int64_t stride = tables.items.stride, size = rule.rows_a_step();
  float* gradient = reinterpret_cast<float*>(shared) + warp_in_block * stride;
  const int64_t i = int64_t{blockIdx.x} * warps_a_block + warp_in_block;
  if (i >= count || items[i] < 0 || (i > 0 && items[i - 1] == items[i])) return;
  const int32_t item = items[i];
  float* v = tables.items.data + item * stride;
  ForEachOwn(stride, lane, [&](int64_t k) { gradient[k] = 0; });
  int pulls = 0;
  for (int64_t j = i; j < count && items[j] == item; ++j) {
    const float derivative = walk.derivatives[places[j]];
    if (derivative == 0.0f) continue;
    ++pulls;
    const float* user = walk.users + places[j] / size * stride;
    ForEachOwn(stride, lane, [&](int64_t k) { gradient[k] += derivative * user[k]; });
  }
  if (pulls == 0) return;
  const bool unit = rule.loss == RankingLoss::kCcl;
  float b = rule.regularization * static_cast<float>(pulls);
  if (unit) {
    float product = 0;
    ForEachOwn(stride, lane, [&](int64_t k) { product += gradient[k] * v[k]; });
    b = -SumOverWarp(product);
  }
  __syncwarp();
  MoveRow(rule, v, stride, tables.item_moments, item, gradient, b, unit, /*constant_column=*/-1,
          lane);
}

__global__ void NumberPlaces(int64_t* places, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < count) places[i] = i;
}

__global__ void ResetFailed(unsigned long long* failed) { *failed = kNone; }

// sum = all reports, added in order: lanes take stretches, then lane 0 their sums.
__global__ void SumReports(const WarpReport* reports, int64_t count, WarpReport* sum) {
  PENCHANT_SHARED(shared);
  auto* parts = reinterpret_cast<WarpReport*>(shared);
  const int64_t stretch = (count + kWarpSize - 1) / kWarpSize;
  WarpReport part = {0, 0};
  for (int64_t i = threadIdx.x * stretch; i < (threadIdx.x + 1) * stretch && i < count; ++i) {
    part.loss += reports[i].loss;
    part.positives += reports[i].positives;
  }
  parts[threadIdx.x] = part;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (int lane = 1; lane < kWarpSize; ++lane) {
    part.loss += parts[lane].loss;
    part.positives += parts[lane].positives;
  }
  *sum = part;
}

template <typename Source>
std::shared_ptr<const EpochReport> RunEpoch(Context& context, const RankingEpoch& epoch,
                                            const EpochOrder& order, const Source& source,
                                            const RankingTables& tables) {
  const auto report = std::make_shared<EpochReport>();
  const int64_t num_users = order.num_users();
  if (num_users == 0) return report;
  CudaDevice& device = *context.cuda();
  const RankingRule rule = RuleOf(epoch, tables);
  const int64_t stride = tables.items.stride, size = rule.rows_a_step();
  const int64_t warp_bytes =
      WarpMemoryFloats(stride, size, rule.dropped_bytes > 0) * static_cast<int64_t>(sizeof(float));
  const int64_t warps = std::min<int64_t>(kWarps, device.facts().shared_bytes / warp_bytes);
  PENCHANT_REQUIRE(warps > 0, "batch_size=", rule.batch, " and negative_samples=", rule.negatives,
                   " with ", tables.items.cols,
                   " factors do not fit a CUDA block's shared memory; ask for fewer, or use "
                   "device=\"cpu\"");
  const LaunchShape walkers{0, static_cast<int>(warps * kWarpSize), warps * warp_bytes};
  DeviceBuffer<WarpReport> reports(context, num_users), sum(context, 1);
  DeviceBuffer<unsigned long long> failed(context, 1);
  PENCHANT_LAUNCH(context, (LaunchShape{1, 1}), ResetFailed, failed.data());
  Walk walk{epoch.negatives, epoch.part, nullptr, nullptr, nullptr};
  if (!order.deterministic() || !epoch.move_items) {
    const auto kernel = WalkUsersKernel<true, Source>;
    const std::string name = internal::Concat("WalkUsersKernel<true, ", Source::kName, ">");
    LaunchShape shape = walkers;
    shape.blocks = ResidentBlocks(context, kernel, shape, DivideUp(num_users, warps));
    PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, rule, walk, order.users(), nullptr,
                          0, num_users, source, tables, reports.data(), failed.data());
  } else {
    const auto kernel = WalkUsersKernel<false, Source>;
    const std::string name = internal::Concat("WalkUsersKernel<false, ", Source::kName, ">");
    const int64_t most = order.most_steps() * size;
    DeviceBuffer<int32_t> items(context, most);
    DeviceBuffer<int64_t> places(context, most);
    DeviceBuffer<float> derivatives(context, most), users(context, order.most_steps() * stride);
    walk.rows = items.data();
    walk.derivatives = derivatives.data();
    walk.users = users.data();
    for (const EpochOrder::Portion& portion : order.portions()) {
      const int64_t count = portion.steps * size;
      if (count == 0) continue;
      LaunchShape shape = walkers;
      shape.blocks = DivideUp(portion.end - portion.begin, warps);
      PENCHANT_LAUNCH_NAMED(context, name.c_str(), shape, kernel, rule, walk, order.users(),
                            order.first_steps(), portion.begin, portion.end, source, tables,
                            reports.data(), failed.data());
      PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(count, 256), 256}), NumberPlaces,
                      places.data(), count);
      StableSortByKey(context, items.data(), places.data(), count, /*descending=*/false);
      const LaunchShape movers{DivideUp(count, kWarps), kWarps * kWarpSize,
                               kWarps * stride * static_cast<int64_t>(sizeof(float))};
      PENCHANT_LAUNCH(context, movers, MoveItemsKernel, rule, items.data(), places.data(), count,
                      walk, tables);
    }
  }
  PENCHANT_LAUNCH(context,
                  (LaunchShape{1, kWarpSize, kWarpSize * static_cast<int64_t>(sizeof(WarpReport))}),
                  SumReports, reports.data(), num_users, sum.data());
  device.ReadLater(sum.data(), sizeof(WarpReport), [report](const void* host) {
    const auto& told = *static_cast<const WarpReport*>(host);
    report->loss = told.loss;
    report->positives = static_cast<int64_t>(told.positives);
  });
  device.ReadLater(failed.data(), sizeof(unsigned long long), [report](const void* host) {
    const auto told = *static_cast<const unsigned long long*>(host);
    if (told != kNone) report->failed = static_cast<int64_t>(told);
  });
  return report;
}

}  // namespace

std::shared_ptr<const EpochReport> RunRankingEpoch(Context& context, const RankingEpoch& epoch,
                                                   const EpochOrder& order,
                                                   const CsrPositives& users,
                                                   const RankingTables& tables) {
  return RunEpoch(context, epoch, order, users, tables);
}

std::shared_ptr<const EpochReport> RunSkipGramEpoch(Context& context, const RankingEpoch& epoch,
                                                    const EpochOrder& order,
                                                    const SkipGramContexts& centers,
                                                    const RankingTables& tables) {
  return RunEpoch(context, epoch, order, centers, tables);
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
