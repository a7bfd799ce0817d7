// k-means: rows grouped around k centers.
#ifndef PENCHANT_KERNELS_CLUSTER_K_MEANS_H_
#define PENCHANT_KERNELS_CLUSTER_K_MEANS_H_

#include <cstdint>
#include <vector>

#include "kernels/base/context.h"
#include "kernels/base/memory.h"
#include "kernels/base/view.h"

namespace penchant {

struct KMeansOptions {
  int64_t k = 8;
  int max_iterations = 100;
  int64_t batch = 16384;  // rows of an iteration; tables of no more rows are taken whole
  uint64_t seed = 0;
};

struct KMeansResult {
  Matrix centers;               // k x columns
  std::vector<int32_t> labels;  // the nearest center of every row; of two as near, the first
  std::vector<float> squares;   // of every row's distance to it
  double inertia = 0;           // their sum
  int iterations = 0;
};

// Minimizes the summed squares of the distances of `rows` (n x d, on the host) to the nearest of k
// centers. Seeds by greedy k-means++ (Arthur and Vassilvitskii 2007) over a sample; then Lloyd's
// iterations until labels stay, or over drawn batches with steps of 1 / (rows met) a center
// (Sculley 2010) until the batches' inertia does not fall any more. Centers without rows move to
// the row farthest from its own. The searches run on the context's device; the same seed gives the
// same bits for any number of threads. Throws InvalidArgument unless 1 <= k <= n and all rows are
// finite.
KMeansResult KMeans(Context& context, MatrixView<const float> rows, const KMeansOptions& options);

// The center nearest to every row, both on the host; of two as near (to float32's rounding), the
// first. Throws InvalidArgument when there is no center or the columns differ.
std::vector<int32_t> NearestCenters(Context& context, MatrixView<const float> rows,
                                    MatrixView<const float> centers);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_CLUSTER_K_MEANS_H_
