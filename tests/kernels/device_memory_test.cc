#include "kernels/base/device_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/base/errors.h"
#include "tests/support/devices.h"
#include "tests/support/random_data.h"

namespace penchant {
namespace {

constexpr int64_t kStagingBytes = int64_t{4} << 20;  // what cuda_device.cu copies at a time

class DeviceMemoryTest : public testing::DeviceTest {};

TEST_P(DeviceMemoryTest, WhatIsUploadedComesBack) {
  for (int64_t size : {int64_t{0}, int64_t{1}, kStagingBytes - 1, kStagingBytes, kStagingBytes + 1,
                       3 * kStagingBytes + 5}) {
    std::vector<uint8_t> host(size);
    // No two parts alike.
    for (int64_t i = 0; i < size; ++i) host[i] = static_cast<uint32_t>(i) * 2654435761u >> 24;
    const auto device = Upload<uint8_t>(context(), host);
    EXPECT_EQ(device.size(), size);
    std::vector<uint8_t> overwritten = host;  // the host side may be reused on return
    const auto again = Upload<uint8_t>(context(), overwritten);
    overwritten.assign(size, 0);
    EXPECT_EQ(Download(context(), device), host) << size;
    EXPECT_EQ(Download(context(), again), host) << size;
  }
}

TEST_P(DeviceMemoryTest, NewMemoryIsZero) {
  for (int round = 0; round < 3; ++round) {  // from the pool, too, that has been written to
    DeviceBuffer<int32_t> buffer(context(), 1000);
    EXPECT_EQ(Download(context(), buffer), std::vector<int32_t>(1000, 0));
    CopyIn<int32_t>(context(), std::vector<int32_t>(1000, -1), buffer.data());
  }
}

TEST_P(DeviceMemoryTest, MovedBuffersAreFreedOnce) {
  DeviceBuffer<int32_t> a = Upload<int32_t>(context(), std::vector<int32_t>{1, 2, 3});
  DeviceBuffer<int32_t> b = std::move(a);
  a = DeviceBuffer<int32_t>(context(), 5);
  std::swap(a, b);
  EXPECT_EQ(Download(context(), a), (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(b.size(), 5);
}

TEST_P(DeviceMemoryTest, TablesKeepTheirPaddingAtZero) {
  for (const auto& [rows, cols] : {std::pair<int64_t, int64_t>{0, 5}, {1, 1}, {7, 20}, {3, 64}}) {
    const Matrix host = testing::RandomMatrix(rows, cols, 1);
    for (const DeviceMatrix& table :
         {DeviceMatrix(context(), host.view()), DeviceMatrix(context(), host.Clone())}) {
      const Matrix got = table.Download(context());
      ASSERT_EQ(got.rows(), rows);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t k = 0; k < got.stride(); ++k) {
          EXPECT_EQ(got.row(i)[k], k < cols ? host.row(i)[k] : 0.0f);
        }
      }
    }
  }
}

TEST_P(DeviceMemoryTest, ABudgetIsKept) {
  if (!on_cuda()) GTEST_SKIP() << "sessions keep the CPU's budget";
  CudaDevice& device = *context().cuda();
  const int64_t before = device.bytes_in_use();
  device.set_memory_budget(before + 1000);
  {
    const DeviceBuffer<uint8_t> fits(context(), 900);
    EXPECT_EQ(device.bytes_in_use(), before + 900);
    try {
      const DeviceBuffer<uint8_t> does_not(context(), 101);
      ADD_FAILURE() << "beyond the budget";
    } catch (const DeviceError& error) {
      EXPECT_THAT(error.what(), ::testing::HasSubstr("101 bytes were asked on top of"));
      EXPECT_THAT(error.what(), ::testing::HasSubstr("memory_budget"));
    }
    const DeviceBuffer<uint8_t> fits_too(context(), 100);
  }
  EXPECT_EQ(device.bytes_in_use(), before);
  device.set_memory_budget(0);
  EXPECT_THROW(DeviceBuffer<uint8_t>(context(), -1), InvalidArgument);
}

TEST_P(DeviceMemoryTest, WhatIsDeferredIsSettledInOrder) {
  if (!on_cuda()) GTEST_SKIP() << "the CPU defers nothing";
  CudaDevice& device = *context().cuda();
  std::vector<int> seen;
  auto value = Upload<int32_t>(context(), std::vector<int32_t>{5});
  const auto note = [&](const void* host) { seen.push_back(*static_cast<const int32_t*>(host)); };
  device.ReadLater(value.data(), sizeof(int32_t), note);
  CopyIn<int32_t>(context(), std::vector<int32_t>{6}, value.data());
  device.RunOnHost([&] { seen.push_back(0); });  // in the order of the stream, before any settling
  device.ReadLater(value.data(), sizeof(int32_t), note);
  context().Synchronize();
  EXPECT_EQ(seen, (std::vector<int>{0, 5, 6}));
  device.RunOnHost([] { throw NumericError("from the host function"); });
  EXPECT_THROW(context().Synchronize(), NumericError);
  context().Synchronize();  // told once
}

TEST_P(DeviceMemoryTest, CopiesBesideTheWorkKeepTheOrderOfTheirMarks) {
  if (!on_cuda()) GTEST_SKIP() << "the CPU copies nothing";
  CudaDevice& device = *context().cuda();
  constexpr int64_t kSize = 1000;
  const auto pinned = device.PinnedMemory(kSize * sizeof(int32_t));
  auto* host = static_cast<int32_t*>(pinned.get());
  DeviceBuffer<int32_t> buffer(context(), kSize);
  device.CopiesWaitFor(device.MarkWork());  // until it has been cleared
  for (int32_t round = 1; round <= 3; ++round) {
    std::iota(host, host + kSize, round);
    device.CopyBeside(buffer.data(), host, kSize * sizeof(int32_t));
    const CudaMark copied = device.MarkCopies();
    device.WorkWaitsFor(copied);
    std::vector<int32_t> wanted(kSize);
    std::iota(wanted.begin(), wanted.end(), round);
    EXPECT_EQ(Download(context(), buffer), wanted);
    device.WaitOnHost(copied);  // before the pinned memory is written again
  }
}

TEST_P(DeviceMemoryTest, PinnedMemoryIsUsedAgain) {
  if (!on_cuda()) GTEST_SKIP() << "the CPU has no pinned memory";
  CudaDevice& device = *context().cuda();
  void* first = device.PinnedMemory(5000).get();
  EXPECT_EQ(device.PinnedMemory(5001).get(), first);  // of the same number of pages
  const auto held = device.PinnedMemory(5000);
  EXPECT_NE(device.PinnedMemory(5000).get(), held.get());
}

PENCHANT_ON_ALL_DEVICES(DeviceMemoryTest);

}  // namespace
}  // namespace penchant
