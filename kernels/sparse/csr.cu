#include <thrust/count.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/scan.h>

#include "kernels/base/thrust.cuh"
#include "kernels/cuda_twins.cuh"
#include "kernels/sparse/csr.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {
namespace {

constexpr int kThreads = 256;

LaunchShape OneThreadEach(int64_t count) { return {DivideUp(count, kThreads), kThreads}; }

__device__ __forceinline__ int64_t Index() {
  return int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}

// ---- Transpose ------------------------------------------------------------------------------

// An entry's row and value in 64 bits, so that one sort moves both.
__device__ __forceinline__ unsigned long long Pack(int32_t row, float value) {
  return static_cast<unsigned long long>(static_cast<unsigned>(row)) << 32 | __float_as_uint(value);
}

// A warp a row.
__global__ void SpreadRows(CsrView matrix, int32_t* columns, unsigned long long* entries) {
  const int64_t warp = Index() / kWarpSize;
  if (warp >= matrix.rows) return;
  for (int64_t i = matrix.offsets[warp] + threadIdx.x % kWarpSize; i < matrix.offsets[warp + 1];
       i += kWarpSize) {
    columns[i] = matrix.indices[i];
    entries[i] =
        Pack(static_cast<int32_t>(warp), matrix.values != nullptr ? matrix.values[i] : 1.0f);
  }
}

__global__ void UnpackEntries(const unsigned long long* entries, int64_t count, int32_t* indices,
                              float* values) {
  const int64_t i = Index();
  if (i >= count) return;
  indices[i] = static_cast<int32_t>(entries[i] >> 32);
  if (values != nullptr) values[i] = __uint_as_float(static_cast<unsigned>(entries[i]));
}

// offsets[row] = first position whose key is at least `row`, of rising keys.
template <typename Key>
void OffsetsOfSorted(Context& context, const Key* keys, int64_t count, int64_t rows,
                     int64_t* offsets) {
  const thrust::counting_iterator<Key> first(0);
  thrust::lower_bound(ThrustPolicy(context), keys, keys + count, first, first + rows + 1, offsets);
}

// ---- From coordinates -----------------------------------------------------------------------

__global__ void MakeKeys(const int32_t* rows, const int32_t* columns, const float* weights,
                         int64_t count, int64_t cols, int64_t* keys, float* values) {
  const int64_t i = Index();
  if (i >= count) return;
  keys[i] = rows[i] * cols + columns[i];
  values[i] = weights != nullptr ? weights[i] : 1.0f;
}

// The first entry of every run of equal keys merges its run, in order; keep[i] tells whether entry
// i heads a run that did not merge to zero.
__global__ void MergeRuns(const int64_t* keys, float* values, int64_t count, Duplicates duplicates,
                          bool weighted, int64_t* keep, unsigned long long* merged) {
  const int64_t i = Index();
  if (i >= count) return;
  if (i > 0 && keys[i - 1] == keys[i]) {
    keep[i] = 0;
    atomicAdd(merged, 1ull);
    return;
  }
  float value = values[i];
  for (int64_t j = i + 1; j < count && keys[j] == keys[i]; ++j) {
    if (duplicates == Duplicates::kSum) {
      value += values[j];
    } else if (duplicates == Duplicates::kLast) {
      value = values[j];
    } else {
      value = fmaxf(value, values[j]);
    }
  }
  values[i] = value;
  keep[i] = !weighted || value != 0.0f;
}

__global__ void KeepEntries(const int64_t* keys, const float* values, const int64_t* places,
                            int64_t count, int64_t total, int64_t cols, int64_t* rows_out,
                            int32_t* indices, float* values_out) {
  const int64_t i = Index();
  if (i >= count) return;
  const int64_t next = i + 1 < count ? places[i + 1] : total;
  if (next == places[i]) return;
  rows_out[places[i]] = keys[i] / cols;
  indices[places[i]] = static_cast<int32_t>(keys[i] % cols);
  values_out[places[i]] = values[i];
}

}  // namespace

DeviceCsr Transpose(Context& context, const CsrView& matrix, int64_t nnz) {
  DeviceCsr result(context, matrix.cols, matrix.rows, nnz, matrix.values != nullptr);
  DeviceBuffer<int32_t> columns(context, nnz);
  DeviceBuffer<unsigned long long> entries(context, nnz);
  if (nnz > 0) {
    PENCHANT_LAUNCH(context, OneThreadEach(matrix.rows * kWarpSize), SpreadRows, matrix,
                    columns.data(), entries.data());
    StableSortByKey(context, columns.data(), entries.data(), nnz, /*descending=*/false);
    PENCHANT_LAUNCH(context, OneThreadEach(nnz), UnpackEntries, entries.data(), nnz,
                    result.indices(), result.values());
  }
  OffsetsOfSorted(context, columns.data(), nnz, matrix.cols, result.offsets());
  return result;
}

DeviceCsr CsrFromCoordinates(Context& context, const Coordinates& entries, int64_t rows,
                             int64_t cols, Duplicates duplicates, int64_t* merged) {
  const auto n = static_cast<int64_t>(entries.rows.size());
  const bool weighted = !entries.values.empty();
  DeviceBuffer<int64_t> keys(context, n), places(context, n);
  DeviceBuffer<float> values(context, n);
  DeviceBuffer<unsigned long long> count(context, 1);
  int64_t total = 0, repeated = 0;
  if (n > 0) {
    PENCHANT_LAUNCH(context, OneThreadEach(n), MakeKeys, entries.rows.data(), entries.cols.data(),
                    weighted ? entries.values.data() : nullptr, n, cols, keys.data(),
                    values.data());
    StableSortByKey(context, keys.data(), values.data(), n, /*descending=*/false);
    PENCHANT_LAUNCH(context, OneThreadEach(n), MergeRuns, keys.data(), values.data(), n, duplicates,
                    weighted, places.data(), count.data());
    repeated = static_cast<int64_t>(Download(context, count)[0]);
    const int64_t last = Download(context, places.data() + n - 1, 1)[0];
    thrust::exclusive_scan(ThrustPolicy(context), places.data(), places.data() + n, places.data());
    total = Download(context, places.data() + n - 1, 1)[0] + last;
  }
  RequireNoDuplicates(repeated, duplicates);
  if (merged != nullptr) *merged = repeated;
  DeviceCsr result(context, rows, cols, total, true);
  DeviceBuffer<int64_t> row_keys(context, total);
  if (n > 0) {
    PENCHANT_LAUNCH(context, OneThreadEach(n), KeepEntries, keys.data(), values.data(),
                    places.data(), n, total, cols, row_keys.data(), result.indices(),
                    result.values());
  }
  OffsetsOfSorted(context, row_keys.data(), total, rows, result.offsets());
  const float* merged_values = result.values();
  if (thrust::count(ThrustPolicy(context), merged_values, merged_values + total, 1.0f) == total) {
    result.DropValues();
  }
  return result;
}

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
