// Several devices, of which a thread may use any while another library uses its own; and machines
// whose GPUs cannot be used, each for another reason.
#include <gtest/gtest.h>

#include <thread>

#include "kernels/base/device_memory.h"
#include "kernels/base/errors.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/linalg/normalize_rows.h"
#include "tests/cuda_host/backend.h"
#include "tests/cuda_host/contexts.h"
#include "tests/cuda_host/include/cuda_runtime.h"
#include "tests/cuda_host/runtime.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

class CudaDevicesTest : public ::testing::Test {
 protected:
  void SetUp() override { RegisterCudaBackend("cuda_on_host", &cuda_on_host::kBackend); }
  void TearDown() override { cuda_host::faults = {}; }

  // Work of several kinds: memory, copies, launches, BLAS, host functions, marks.
  static Matrix Work(Context& context) {
    DeviceMatrix table(context, testing::RandomMatrix(40, 8, 3, 1.0f));
    RotateToEigenbasis(context, table.view());
    NormalizeRows(context, table.view());
    context.cuda()->WorkWaitsFor(context.cuda()->MarkCopies());
    context.Synchronize();
    return table.Download(context);
  }
  static std::string Reason(int index = 0) {
    return cuda_on_host::kBackend.unavailable_reason(index);
  }
};

TEST_F(CudaDevicesTest, AThreadIsGivenBackTheDeviceItHad) {
  std::thread([] {
    {
      Context context(1, "cuda_on_host:1");
      Work(context);
      EXPECT_FALSE(cuda_host::HasDevice());
    }
    EXPECT_FALSE(cuda_host::HasDevice());
    EXPECT_EQ(cuda_host::NeededDevice(), 0);  // as another library's call would have it
    Context context(1, "cuda_on_host:1");
    Work(context);
    EXPECT_EQ(cuda_host::NeededDevice(), 0);
  }).join();
}

TEST_F(CudaDevicesTest, TwoDevicesTakeTurns) {
  Context first(1, "cuda_on_host:0"), second(1, "cuda_on_host:1");
  EXPECT_EQ(second.device_name(), "cuda:1");
  DeviceMatrix a(first, testing::RandomMatrix(9, 4, 1, 1.0f));
  DeviceMatrix b(second, testing::RandomMatrix(9, 4, 1, 1.0f));
  NormalizeRows(first, a.view());
  NormalizeRows(second, b.view());
  const Matrix on_first = a.Download(first), on_second = b.Download(second);
  for (int64_t r = 0; r < 9; ++r) {
    for (int64_t k = 0; k < 4; ++k) EXPECT_EQ(on_first.row(r)[k], on_second.row(r)[k]);
  }
}

TEST_F(CudaDevicesTest, ACallOnAnotherDevicesStreamFails) {
  Context context(1, "cuda_on_host:1");
  auto* stream = static_cast<cudaStream_t>(context.cuda()->stream());
  int value = 0;
  EXPECT_EQ(cudaMemsetAsync(&value, 0, sizeof(value), stream), cudaErrorInvalidResourceHandle);
}

TEST_F(CudaDevicesTest, AUsableDeviceHasNoReason) {
  EXPECT_EQ(Reason(0), "");
  EXPECT_EQ(Reason(1), "");
  EXPECT_GT(cuda_on_host::kBackend.facts(1).free_bytes, 0);
}

void ExpectMentions(const std::string& reason, std::initializer_list<const char*> words) {
  for (const char* word : words) EXPECT_NE(reason.find(word), std::string::npos) << reason;
}

TEST_F(CudaDevicesTest, TheReasonNamesTheDriver) {
  cuda_host::faults.driver_version = 0;
  ExpectMentions(Reason(), {"no NVIDIA driver is loaded", "install"});
  cuda_host::faults.driver_version = 12020;
  cuda_host::faults.count_error = cudaErrorInsufficientDriver;
  ExpectMentions(Reason(), {"driver (CUDA 12.2) is older", "runtime (13.0)", "newer driver"});
}

TEST_F(CudaDevicesTest, TheReasonNamesWhatHidesTheDevice) {
  ExpectMentions(Reason(7), {"no CUDA device 7", "this machine shows 3"});
  cuda_host::faults.count_error = cudaErrorNoDevice;
  unsetenv("CUDA_VISIBLE_DEVICES");
  ExpectMentions(Reason(), {"shows no GPU", "--gpus all"});
  setenv("CUDA_VISIBLE_DEVICES", "-1", 1);
  ExpectMentions(Reason(), {"shows no GPU", "CUDA_VISIBLE_DEVICES=\"-1\""});
  unsetenv("CUDA_VISIBLE_DEVICES");
}

TEST_F(CudaDevicesTest, TheReasonNamesTheArchitecture) {
  setenv("PENCHANT_CUDA_HOST_SM", "75", 1);
  ExpectMentions(Reason(), {"compute capability 7.5", "need 8.0 or newer"});
  setenv("PENCHANT_CUDA_HOST_SM", "80", 1);
  cuda_host::faults.kernel_error = cudaErrorNoKernelImageForDevice;
  ExpectMentions(Reason(), {"compute capability 8.0", "PENCHANT_CUDA_ARCHITECTURES=80-real"});
  unsetenv("PENCHANT_CUDA_HOST_SM");
}

TEST_F(CudaDevicesTest, TheReasonNamesTheMemory) {
  constexpr int kNotStarted = cuda_host::kDevices - 1;
  cuda_host::faults.start_error = 2;
  ExpectMentions(Reason(kNotStarted), {"cannot be started", "out of memory", "other processes"});
  EXPECT_EQ(cuda_on_host::kBackend.facts(kNotStarted).free_bytes, 0);
  EXPECT_THROW(Context(1, "cuda_on_host:2"), DeviceError);
}

}  // namespace
}  // namespace penchant
