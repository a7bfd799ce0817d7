#include "kernels/base/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>

#include "kernels/base/context.h"
#include "kernels/base/errors.h"

namespace penchant {
namespace {

TEST(ThreadPoolTest, RunsEveryBlockOnce) {
  ThreadPool pool(4);
  for (int64_t blocks : {0, 1, 3, 1000}) {
    std::vector<std::atomic<int>> counts(blocks);
    pool.ParallelFor(blocks, [&](int64_t block, int worker) {
      EXPECT_GE(worker, 0);
      EXPECT_LT(worker, 4);
      ++counts[block];
    });
    for (auto& count : counts) EXPECT_EQ(count, 1);
  }
}

TEST(ThreadPoolTest, AnExceptionEndsTheLoopAndIsRethrown) {
  ThreadPool pool(3);
  std::atomic<int> done{0};
  EXPECT_THROW(pool.ParallelFor(100000,
                                [&](int64_t block, int) {
                                  ++done;
                                  if (block == 10) throw DataError("block 10");
                                }),
               DataError);
  EXPECT_LT(done, 100000);
  pool.ParallelFor(5, [&](int64_t, int) {});  // still usable
}

TEST(ThreadPoolTest, ThePollStopsLongWork) {
  Context context(1);  // the polling thread is the only one, so it cannot be outrun
  int polls = 0;
  context.set_poll([&] {
    if (++polls == 3) throw Interrupted("stop");
  });
  EXPECT_THROW(context.ParallelFor(1000000, [](int64_t, int) {}), Interrupted);
}

TEST(ThreadPoolTest, RefusesNonsense) { EXPECT_THROW(ThreadPool(-1), InvalidArgument); }

}  // namespace
}  // namespace penchant
