// Prints every launch that a small ALS fit with evaluation makes at the numbers of factors given as
// arguments: "factors kernel threads dynamic_shared_bytes", once each. bench/ledger uses it: the
// shapes are those of the real launches on the device that PENCHANT_CUDA_HOST_SM names.
#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>

#include "kernels/als/loss.h"
#include "kernels/als/solve_rows.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/finite.h"
#include "kernels/linalg/normalize_rows.h"
#include "kernels/linalg/round_to_bfloat16.h"
#include "kernels/score/gather_rows.h"
#include "kernels/score/ranking_metrics.h"
#include "kernels/score/top_k.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/average_rows.h"
#include "kernels/sparse/csr.h"
#include "tests/cuda_host/grid.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

// A row for every kernel of the row solver, and one that float32 cannot factor.
Csr Observations(int64_t factors) {
  std::vector<int64_t> lengths = {9000, factors + 10, 0, 1};
  for (int64_t n : {32, 64, 128, 160, 256}) {
    if (n <= factors) lengths.push_back(n);
  }
  return testing::RandomCsr(lengths, 9000, 1, false);
}

void LaunchAll(Context& context, int64_t factors) {
  const Csr host = Observations(factors);
  const CsrBlocks by_row(context, host.view());
  const CsrView& rows = by_row.shape(0);
  const CsrBlocks by_column(Transpose(context, rows, host.nnz()));
  DeviceMatrix table(context, testing::RandomMatrix(9000, factors, 2, 0.1f));
  DeviceMatrix solved(context, host.rows, factors);
  const Eigenbasis basis = RotateToEigenbasis(context, table.view());
  const AlsObjective objective;
  SolveRows(context, objective, {table.view(), basis.eigenvalues.data()}, rows,
            RowPlan(context, rows, factors), solved.view());
  DeviceBuffer<Bfloat16> packed(context, table.rows() * table.stride());
  RoundToBfloat16(context, table.view(), packed.data());
  SolveRows(context, objective, {table.view(), basis.eigenvalues.data(), packed.data()}, rows,
            RowPlan(context, rows, factors), solved.view());
  RequireFinite(context, solved.view(), "rows");
  AlsLoss(context, objective, solved.view(), table.view(), by_row, by_column);
  const std::vector<int32_t> chosen = {0, 1};
  const DeviceBuffer<int32_t> users = Upload<int32_t>(context, chosen);
  DeviceMatrix queries(context, 2, factors);
  GatherRows(context, solved.view(), users.data(), queries.view());
  const ItemIndex index(context, table.view());
  TopKOptions options;
  options.k = 20;
  DeviceBuffer<int32_t> ids(context, 2 * options.k);
  DeviceBuffer<float> scores(context, 2 * options.k);
  TopK(context, queries.view(), index, options, ids.data(), scores.data());
  DeviceBuffer<RankingMetrics> metrics(context, 2);
  DeviceBuffer<uint8_t> recommended(context, 9000);
  JudgeLists(context, {ids.data(), 2, options.k, users.data(), rows, options.k}, metrics.data(),
             recommended.data());
  context.Synchronize();
}

void RankOnce(Context& context, int64_t factors) {
  const Csr host = testing::RandomCsr({5, 9}, 40, 1, true);
  const DeviceCsr rows(context, host.view());
  RankingEpoch epoch;
  epoch.objective = {RankingLoss::kBpr, 0.01, 4, 64, 0.0, 1.0};
  epoch.negatives = {.num_items = 40};
  DeviceMatrix users(context, testing::RandomMatrix(2, factors, 2, 0.1f));
  DeviceMatrix items(context, testing::RandomMatrix(40, factors, 3, 0.1f));
  for (bool deterministic : {false, true}) {
    const EpochOrder order(context, CsrPositives{host.view()}, epoch.part, epoch.objective.batch,
                           deterministic);
    RunRankingEpoch(context, epoch, order, CsrPositives{rows.view()},
                    {users.view(), items.view(), {}, {}});
  }
  const std::vector<int32_t> sequence = {0, 1, 0}, of = {0, 0, 0};
  const std::vector<int64_t> bounds = {0, 3}, offsets = {0, 2, 3}, positions = {0, 2, 1};
  const auto tokens = Upload<int32_t>(context, sequence), sequences = Upload<int32_t>(context, of);
  const auto begins = Upload<int64_t>(context, bounds),
             occurrences = Upload<int64_t>(context, offsets),
             places = Upload<int64_t>(context, positions);
  epoch.objective.biases = false;
  const MatrixView<float> two{items.view().data, 2, items.cols(), items.stride()};
  for (bool deterministic : {false, true}) {
    SkipGramContexts contexts{
        2, sequence.data(), bounds.data(), offsets.data(), positions.data(), of.data()};
    const EpochOrder order(context, contexts, epoch.part, epoch.objective.batch, deterministic);
    contexts = {
        2, tokens.data(), begins.data(), occurrences.data(), places.data(), sequences.data()};
    epoch.negatives = {.num_items = 2};
    RunRankingEpoch(context, epoch, order, contexts, {users.view(), two, {}, {}});
  }
  AverageRows(context, rows.view(), items.view(), users.view());
  NormalizeRows(context, items.view());
  context.Synchronize();
}

void BuildOnce(Context& context) {
  const std::vector<int32_t> ids = {0, 1, 1};
  const auto rows = Upload<int32_t>(context, ids);
  const Coordinates entries{{rows.data(), 3}, {rows.data(), 3}, {}};
  CsrFromCoordinates(context, entries, 2, 2, Duplicates::kSum, nullptr);
}

}  // namespace
}  // namespace penchant

int main(int argc, char** argv) {
  static int factors = 0;
  static std::set<std::string> printed;
  penchant::cuda_host::SetLaunchObserver([](const char* kernel, unsigned threads, size_t shared) {
    const std::string line = std::to_string(factors) + "\t" + kernel + "\t" +
                             std::to_string(threads) + "\t" + std::to_string(shared);
    if (printed.insert(line).second) std::printf("%s\n", line.c_str());
  });
  const auto context = penchant::testing::ContextOn("cuda_on_host", 1);
  for (int i = 1; i < argc; ++i) {
    factors = std::atoi(argv[i]);
    penchant::LaunchAll(*context, factors);
    penchant::RankOnce(*context, factors);
    penchant::BuildOnce(*context);
  }
  return 0;
}
