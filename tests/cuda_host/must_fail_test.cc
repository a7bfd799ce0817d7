// Kernels with one fault each, every one of which the emulated run must catch: the proof that the
// suites on cuda_on_host would see such a fault in the real kernels. The list:
//   a removed barrier                     wrong or NaN under some schedule; a race under TSan
//   a barrier that not all threads reach  aborts, naming both places
//   a thread gone while others wait       aborts
//   a warp operation with a wrong mask    aborts (own lane missing, lane never comes, bad source)
//   an index one past the end             aborts with kernel, block, thread (global and shared)
//   a 32-bit overflow of an offset        aborts likewise
//   uninitialised shared memory           reads as NaN
//   more shared memory than there is      the launch fails
//   an asynchronous copy read too early   reads as NaN; one never waited for aborts
//   long sums left to the tensor cores    lose the digits that the hardware drops at every step
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cmath>
#include <cstdlib>
#include <vector>

#include "kernels/als/tile_product.cuh"
#include "kernels/base/view.h"

namespace penchant::cuda_on_host {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(PENCHANT_CUDA_HOST_TSAN)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

template <typename... Parameters, typename... Arguments>
cudaError_t RunKernel(const char* name, int blocks, int threads, size_t shared_bytes,
                      void (*kernel)(Parameters...), Arguments... arguments) {
  cuda_host_kernel_name = name;
  cudaLaunchConfig_t config;
  config.gridDim = dim3(blocks);
  config.blockDim = dim3(threads);
  config.dynamicSmemBytes = shared_bytes;
  return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
}

// A device array: ends at a page nobody may touch.
template <typename T>
struct Array {
  explicit Array(int64_t size)
      : data(static_cast<T*>(cuda_host::AllocateGuarded(size * sizeof(T)))) {
    for (int64_t i = 0; i < size; ++i) data[i] = T{};
  }
  ~Array() { cuda_host::FreeGuarded(data); }
  T* data;
};

class MustFailTest : public ::testing::Test {
 protected:
  void TearDown() override { cuda_host::SetSchedule(0); }
};

// ---- Barriers -------------------------------------------------------------------------------

template <bool kBarrier>
__global__ void Reverse(float* out) {
  PENCHANT_SHARED(shared);
  auto* values = reinterpret_cast<float*>(shared);
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  if (kBarrier) __syncthreads();
  out[threadIdx.x] = values[blockDim.x - 1 - threadIdx.x];
}

// Whether Reverse gives what it should under every one of several schedules.
template <bool kBarrier>
bool AlwaysRight() {
  Array<float> out(64);
  bool right = true;
  for (uint64_t schedule = 0; schedule < 4; ++schedule) {
    cuda_host::SetSchedule(schedule);
    RunKernel("Reverse", 1, 64, 64 * sizeof(float), Reverse<kBarrier>, out.data);
    for (int i = 0; i < 64; ++i) right &= out.data[i] == static_cast<float>(63 - i);
  }
  return right;
}

TEST_F(MustFailTest, ARemovedBarrier) {
  EXPECT_TRUE(AlwaysRight<true>());
  if (kThreadSanitizer) {
    // TSan's fibers do not survive a fork, so the test starts anew; and a race is to end it.
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    setenv("TSAN_OPTIONS", "halt_on_error=1", 1);
    EXPECT_DEATH(AlwaysRight<false>(), "data race.*Reverse");
  } else {
    EXPECT_FALSE(AlwaysRight<false>());
  }
}

__global__ void BarrierInABranch(int* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[threadIdx.x] = 1;
}

__global__ void LeavesEarly(int* out) {
  if (threadIdx.x == 5) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}

TEST_F(MustFailTest, ABarrierThatNotAllReach) {
  Array<int> out(64);
  EXPECT_DEATH(RunKernel("BarrierInABranch", 1, 64, 0, BarrierInABranch, out.data),
               "divergence in kernel BarrierInABranch, block \\(0,0,0\\)");
  EXPECT_DEATH(RunKernel("LeavesEarly", 1, 64, 0, LeavesEarly, out.data),
               "kernel LeavesEarly.*1 of 64 threads have ended");
}

// ---- Warp operations ------------------------------------------------------------------------

__global__ void MaskWithoutMe(int* out) {
  out[threadIdx.x] = __shfl_sync(0x0000ffffu, static_cast<int>(threadIdx.x), 0);
}
__global__ void LaneNeverComes(int* out) {
  if (threadIdx.x < 31) out[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
}
__global__ void SourceOutsideTheMask(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0x0000ffffu, 1, 20);
}
__global__ void DifferentOperations(int* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = __shfl_sync(kAllLanes, 1, 0);
  } else {
    out[threadIdx.x] = __shfl_sync(kAllLanes, 2, 1);
  }
}

TEST_F(MustFailTest, AWrongMask) {
  Array<int> out(32);
  EXPECT_DEATH(RunKernel("MaskWithoutMe", 1, 32, 0, MaskWithoutMe, out.data),
               "whose mask leaves it out");
  EXPECT_DEATH(RunKernel("LaneNeverComes", 1, 32, 0, LaneNeverComes, out.data),
               "divergence in kernel LaneNeverComes");
  EXPECT_DEATH(RunKernel("SourceOutsideTheMask", 1, 32, 0, SourceOutsideTheMask, out.data),
               "reads a lane that is not in its mask");
  EXPECT_DEATH(RunKernel("DifferentOperations", 1, 32, 0, DifferentOperations, out.data),
               "divergence in kernel DifferentOperations");
}

// ---- Memory ---------------------------------------------------------------------------------

__global__ void WritesOnePast(float* out, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i <= count) out[i] = 1.0f;  // wanted: <
}
__global__ void ReadsOnePast(const float* in, float* out) {
  out[threadIdx.x] = in[threadIdx.x + 1];
}
__global__ void SharedOnePast(float* out) {
  PENCHANT_SHARED(shared);
  reinterpret_cast<float*>(shared)[threadIdx.x + 1] = 1.0f;
  out[threadIdx.x] = 1.0f;
}

TEST_F(MustFailTest, AnIndexOnePastTheEnd) {
  Array<float> in(64), out(64);
  EXPECT_DEATH(RunKernel("WritesOnePast", 3, 32, 0, WritesOnePast, out.data, 64),
               "kernel WritesOnePast, block \\(2,0,0\\), thread \\(0,0,0\\)");
  EXPECT_DEATH(RunKernel("ReadsOnePast", 1, 64, 0, ReadsOnePast, in.data, out.data),
               "kernel ReadsOnePast, block \\(0,0,0\\), thread \\(63,0,0\\)");
  EXPECT_DEATH(RunKernel("SharedOnePast", 1, 64, 64 * sizeof(float), SharedOnePast, out.data),
               "kernel SharedOnePast");
}

template <typename Offset>
__global__ void SumRow(CsrView matrix, int* out) {
  const auto begin = static_cast<Offset>(matrix.offsets[0]);
  const auto end = static_cast<Offset>(matrix.offsets[1]);
  int sum = 0;
  for (Offset i = begin; i < end; ++i) sum += matrix.indices[i];
  *out = sum;
}

TEST_F(MustFailTest, A32BitOverflowOfAnOffset) {
  const int64_t shift = (int64_t{1} << 31) + 8;
  const size_t bytes = static_cast<size_t>(shift + 4) * sizeof(int32_t);
  void* reserved = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(reserved, MAP_FAILED);
  auto* indices = static_cast<int32_t*>(reserved);
  for (int i = 0; i < 4; ++i) indices[shift + i] = i + 1;
  const int64_t offsets[] = {shift, shift + 4};
  const CsrView far{1, 9, offsets, indices, nullptr};
  Array<int> out(4);
  RunKernel("SumRow", 1, 1, 0, SumRow<int64_t>, far, out.data);
  EXPECT_EQ(*out.data, 10);
  EXPECT_DEATH(RunKernel("SumRow with int", 1, 1, 0, SumRow<int>, far, out.data),
               "out of bounds.*SumRow with int");
  munmap(reserved, bytes);
}

__global__ void ReadsBeforeWriting(float* out) {
  PENCHANT_SHARED(shared);
  out[threadIdx.x] = reinterpret_cast<float*>(shared)[threadIdx.x];
}

TEST_F(MustFailTest, UninitialisedSharedMemory) {
  Array<float> out(32);
  RunKernel("ReadsBeforeWriting", 2, 32, 32 * sizeof(float), ReadsBeforeWriting, out.data);
  for (int i = 0; i < 32; ++i) EXPECT_TRUE(std::isnan(out.data[i]));
}

template <int kLeft>
__global__ void CopiesAsync(const float* in, float* out) {
  PENCHANT_SHARED(shared);
  auto* stage = reinterpret_cast<float*>(shared);
  CopyAsync16(stage + 4 * threadIdx.x, in + 4 * threadIdx.x, true);
  CommitCopies();
  WaitForCopies<kLeft>();
  out[threadIdx.x] = stage[4 * threadIdx.x];
  WaitForCopies<0>();
}
__global__ void NeverWaits(const float* in) {
  PENCHANT_SHARED(shared);
  CopyAsync16(reinterpret_cast<float*>(shared) + 4 * threadIdx.x, in, true);
  CommitCopies();
}

TEST_F(MustFailTest, AnAsynchronousCopyReadTooEarly) {
  Array<float> in(128), out(32);
  RunKernel("CopiesAsync", 1, 32, 128 * sizeof(float), CopiesAsync<0>, in.data, out.data);
  EXPECT_EQ(out.data[7], 0.0f);
  RunKernel("CopiesAsync", 1, 32, 128 * sizeof(float), CopiesAsync<1>, in.data, out.data);
  EXPECT_TRUE(std::isnan(out.data[7]));
  EXPECT_DEATH(RunKernel("NeverWaits", 1, 32, 128 * sizeof(float), NeverWaits, in.data),
               "ends with asynchronous copies not waited for");
}

TEST_F(MustFailTest, MoreSharedMemoryThanThereIs) {
  Array<float> out(64);
  const auto allow = [](int bytes) {
    return cudaFuncSetAttribute(Reverse<true>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  };
  const auto run = [&](size_t bytes) {
    return RunKernel("Reverse", 1, 64, bytes, Reverse<true>, out.data);
  };
  EXPECT_EQ(run(48 << 10), cudaSuccess);
  EXPECT_EQ(run((48 << 10) + 1), cudaErrorInvalidValue);  // not asked for
  EXPECT_EQ(allow(60 << 10), cudaSuccess);
  EXPECT_EQ(run(60 << 10), cudaSuccess);
  EXPECT_EQ(run((60 << 10) + 1), cudaErrorInvalidValue);
  EXPECT_EQ(allow((227 << 10) + 1), cudaErrorInvalidValue);
}

// ---- Tensor cores ---------------------------------------------------------------------------

// The sum of 16 squares of each of kSteps numbers.
constexpr int kSteps = 4096;
__host__ __device__ float StepNumber(int step) {
  return UnpackHalves(PackHalves(0.3f + 0.01f * static_cast<float>(step * 37 % 101), 0.0f)).x;
}
template <bool kRounded>
__global__ void SumsSquares(float* out) {
  float sum[4] = {};
  for (int step = 0; step < kSteps; ++step) {
    const uint32_t pair = PackHalves(StepNumber(step), StepNumber(step));
    if (kRounded) {
      float part[4] = {};
      MmaHalf(part, {pair, pair, pair, pair}, pair, pair);
      for (int e = 0; e < 4; ++e) sum[e] += part[e];
    } else {
      MmaHalf(sum, {pair, pair, pair, pair}, pair, pair);
    }
  }
  if (threadIdx.x == 0) *out = sum[0];
}

TEST_F(MustFailTest, LongSumsLeftToTheTensorCores) {
  Array<float> out(4);
  double wanted = 0;
  for (int step = 0; step < kSteps; ++step) {
    wanted += 16 * double{StepNumber(step)} * double{StepNumber(step)};
  }
  RunKernel("SumsSquares", 1, 32, 0, SumsSquares<true>, out.data);
  EXPECT_NEAR(*out.data / wanted, 1.0, 5e-6);
  RunKernel("SumsSquares", 1, 32, 0, SumsSquares<false>, out.data);
  EXPECT_LT(*out.data / wanted, 1.0 - 3e-5);
}

}  // namespace
}  // namespace penchant::cuda_on_host
