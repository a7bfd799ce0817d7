// Memory, and what passes between host and device. On the CPU an upload is a copy.
#include "bench/kernels/bench_support.h"
#include "kernels/base/device_memory.h"
#include "kernels/sparse/csr_blocks.h"

namespace penchant {
namespace {

constexpr int64_t kBytes = int64_t{64} << 20;

void UploadBytes(benchmark::State& state) {
  Context context(1, BenchDevice());
  const std::vector<float> host(kBytes / sizeof(float), 1.0f);
  DeviceBuffer<float> device(context, static_cast<int64_t>(host.size()));
  Time(state, context, [&] { CopyIn<float>(context, host, device.data()); });
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(UploadBytes);

void DownloadBytes(benchmark::State& state) {
  Context context(1, BenchDevice());
  const DeviceBuffer<float> device(context, kBytes / sizeof(float));
  Time(state, context, [&] { benchmark::DoNotOptimize(Download(context, device)); });
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(DownloadBytes);

// From the pool, where it has some; cleared.
void AllocateBytes(benchmark::State& state) {
  Context context(1, BenchDevice());
  Time(state, context, [&] { DeviceBuffer<float>(context, kBytes / sizeof(float)); });
  state.SetBytesProcessed(state.iterations() * kBytes);
}
BENCHMARK(AllocateBytes);

// Interactions that visit the device in eight blocks, without work on them.
void VisitInBlocks(benchmark::State& state) {
  Context context(1, BenchDevice());
  if (!context.cuda()) return state.SkipWithError("the CPU reads interactions where they lie");
  const Csr host = EvenRows(1 << 16, 1 << 16, 256);
  const CsrBlocks blocks(context, host.view(), kBytes / 8);
  Time(state, context, [&] { blocks.ForEach(context, [](int64_t, const CsrView&) {}); });
  state.SetBytesProcessed(state.iterations() * host.nnz() * static_cast<int64_t>(sizeof(int32_t)));
}
BENCHMARK(VisitInBlocks);

}  // namespace
}  // namespace penchant
