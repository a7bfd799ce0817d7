#include "kernels/base/cuda_blas.h"
#include "kernels/cuda_twins.cuh"
#include "kernels/score/ranking_metrics_body.h"
#include "kernels/score/top_k.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 128;
constexpr int kItemsAThread = 8;
constexpr int kRound = kThreads * kItemsAThread;  // items looked at between two looks at the buffer
constexpr int64_t kTileItems = 65536;
constexpr int64_t kTileScores = int64_t{32} << 20;

// (score, item) as one number: the greater, the better; ties go to the smaller item. 0: nothing.
__device__ __forceinline__ unsigned long long KeyOf(float score, int32_t item) {
  const unsigned bits = __float_as_uint(score + 0.0f);  // -0 becomes 0
  const unsigned ordered = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
  return static_cast<unsigned long long>(ordered) << 32 |
         (0xffffffffu - static_cast<unsigned>(item));
}
__device__ __forceinline__ float ScoreOf(unsigned long long key) {
  const auto ordered = static_cast<unsigned>(key >> 32);
  return __uint_as_float(ordered & 0x80000000u ? ordered & 0x7fffffffu : ~ordered);
}
__device__ __forceinline__ int32_t ItemOf(unsigned long long key) {
  return static_cast<int32_t>(0xffffffffu - static_cast<unsigned>(key & 0xffffffffu));
}

// Sorts `size` (a power of two) keys in falling order with the whole block.
__device__ __forceinline__ void SortFalling(unsigned long long* keys, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int stride = run / 2; stride > 0; stride /= 2) {
      __syncthreads();
      for (int pair = threadIdx.x; pair < size / 2; pair += kThreads) {
        const int low = pair / stride * 2 * stride + pair % stride;
        const int high = low + stride;
        const bool falling = (low & run) == 0;
        const unsigned long long a = keys[low], b = keys[high];
        if ((a < b) == falling) {
          keys[low] = b;
          keys[high] = a;
        }
      }
    }
  }
  __syncthreads();
}

struct SelectProblem {
  const float* scores;  // queries x tile items
  int64_t tile_items;
  int64_t first_item;  // of the tile, as a position
  const int32_t* ids;  // item row of a position; null: the position itself
  CsrView exclusions;  // offsets null: none; row of query q is first_query + q
  int64_t first_query;
  const uint8_t* denied;     // null: none
  unsigned long long* best;  // queries x k, falling
  int64_t k;
  int capacity;  // of the buffer, a power of two >= k + kRound
};

// Merges a tile of scores into each query's best list: a block a query. Items that beat the k-th
// best so far are appended to a buffer behind the list, which is sorted when it could overflow.
__global__ void __launch_bounds__(kThreads) SelectKernel(SelectProblem p) {
  PENCHANT_SHARED(shared);
  auto* keys = reinterpret_cast<unsigned long long*>(shared);
  auto* used = reinterpret_cast<int*>(keys + p.capacity);
  const int64_t query = blockIdx.x;
  const float* scores = p.scores + query * p.tile_items;
  unsigned long long* best = p.best + query * p.k;
  const int k = static_cast<int>(p.k);
  for (int i = threadIdx.x; i < p.capacity; i += kThreads) keys[i] = i < k ? best[i] : 0;
  if (threadIdx.x == 0) *used = k;
  __syncthreads();
  const int64_t row = p.first_query + query;
  const int32_t* excluded = nullptr;
  int64_t num_excluded = 0;
  if (p.exclusions.offsets != nullptr) {
    excluded = p.exclusions.indices + p.exclusions.offsets[row];
    num_excluded = p.exclusions.offsets[row + 1] - p.exclusions.offsets[row];
  }
  for (int64_t round = 0; round < p.tile_items; round += kRound) {
    const unsigned long long threshold = keys[k - 1];
#pragma unroll
    for (int i = 0; i < kItemsAThread; ++i) {
      const int64_t position = round + i * kThreads + threadIdx.x;
      if (position >= p.tile_items) continue;
      const float score = scores[position];
      if (isnan(score)) continue;
      const int64_t place = p.first_item + position;
      const int32_t item = p.ids != nullptr ? p.ids[place] : static_cast<int32_t>(place);
      const unsigned long long key = KeyOf(score, item);
      if (key <= threshold) continue;
      if (p.denied != nullptr && p.denied[item] != 0) continue;
      if (FindSorted(excluded, num_excluded, item) >= 0) continue;
      keys[atomicAdd(used, 1)] = key;
    }
    __syncthreads();
    const bool full = *used > p.capacity - kRound;
    __syncthreads();
    if (full) {
      SortFalling(keys, p.capacity);
      for (int i = k + threadIdx.x; i < p.capacity; i += kThreads) keys[i] = 0;
      if (threadIdx.x == 0) *used = k;
      __syncthreads();
    }
  }
  SortFalling(keys, p.capacity);
  for (int i = threadIdx.x; i < k; i += kThreads) best[i] = keys[i];
}

__global__ void WriteLists(const unsigned long long* best, int64_t count, int32_t* ids,
                           float* scores) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  ids[i] = best[i] == 0 ? -1 : ItemOf(best[i]);
  scores[i] = best[i] == 0 ? -INFINITY : ScoreOf(best[i]);
}

}  // namespace

void TopK(Context& context, MatrixView<const float> queries, const ItemIndex& index,
          const TopKOptions& options, int32_t* ids, float* scores) {
  if (queries.rows == 0) return;
  const MatrixView<const float> items = index.cuda_items();
  const int64_t k = options.k;
  SelectProblem select{};
  select.capacity = 1;
  while (select.capacity < k + kRound) select.capacity *= 2;
  LaunchShape shape{0, kThreads,
                    select.capacity * static_cast<int64_t>(sizeof(unsigned long long)) + 16};
  PENCHANT_REQUIRE(shape.shared_bytes <= context.cuda()->facts().shared_bytes, "lists of ", k,
                   " items do not fit a CUDA block's shared memory; ask for at most ",
                   context.cuda()->facts().shared_bytes / 16 - kRound, ", or use device=\"cpu\"");
  const int64_t tile = std::min(kTileItems, std::max<int64_t>(items.rows, 1));
  const int64_t batch = std::min(queries.rows, std::max<int64_t>(1, kTileScores / tile));
  DeviceBuffer<float> tile_scores(context, batch * tile);
  select.scores = tile_scores.data();
  select.ids = index.cuda_ids();
  select.denied = options.denied;
  select.k = k;
  if (options.exclusions != nullptr) select.exclusions = *options.exclusions;
  for (int64_t first = 0; first < queries.rows; first += batch) {
    const int64_t count = std::min(batch, queries.rows - first);
    DeviceBuffer<unsigned long long> best(context, count * k);
    select.best = best.data();
    select.first_query = first;
    shape.blocks = count;
    for (int64_t item = 0; item < items.rows; item += tile) {
      select.tile_items = std::min(tile, items.rows - item);
      select.first_item = item;
      context.cuda()->blas().MultiplyTransposed(
          count, select.tile_items, queries.cols, queries.row(first), queries.stride,
          items.row(item), items.stride, tile_scores.data(), select.tile_items);
      PENCHANT_LAUNCH(context, shape, SelectKernel, select);
    }
    PENCHANT_LAUNCH(context, (LaunchShape{DivideUp(count * k, 256), 256}), WriteLists, best.data(),
                    count * k, ids + first * k, scores + first * k);
  }
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
