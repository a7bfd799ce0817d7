// How rows of factor tables move against their gradients, and what is remembered of them for that.
#ifndef PENCHANT_KERNELS_SGD_OPTIMIZER_H_
#define PENCHANT_KERNELS_SGD_OPTIMIZER_H_

namespace penchant {

// How a row moves against its gradient g. AdaGrad and Adam keep one second moment a row, the mean
// square of g's elements but the bias; Adam (0.9, 0.999) also the mean gradient.
enum class Optimizer { kSgd, kAdagrad, kAdam };

inline constexpr float kAdamMean = 0.9f;
inline constexpr float kAdamSquare = 0.999f;
inline constexpr float kAdamFloor = 1e-8f;  // added to the root of the second moment
// What AdaGrad's sums of squares start from: rows met rarely move as by SGD, not further.
inline constexpr float kAdagradStart = 0.1f;

// What an optimizer remembers of the rows of one table; null what it does not.
struct RowMoments {
  float* squares = nullptr;  // a row
  float* steps = nullptr;    // a row: how often it moved
  float* means = nullptr;    // rows x stride, as the table
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_SGD_OPTIMIZER_H_
