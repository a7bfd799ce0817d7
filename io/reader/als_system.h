// The ridge system of one user of implicit ALS, for reading: small, in float64, on its shorter
// side.
#ifndef PENCHANT_IO_READER_ALS_SYSTEM_H_
#define PENCHANT_IO_READER_ALS_SYSTEM_H_

#include <cstdint>
#include <span>
#include <vector>

namespace penchant {

// A = D + Y'WY with Y (n x d) the items of a history, W their weights >= 0 and D the diagonal
// w0 eigenvalues + lambda, positive. Factored as D^1/2 (I + B'B) D^1/2 with B = W^1/2 Y D^-1/2;
// where n < d, (I + B'B)^-1 = I - B' (I + BB')^-1 B takes a system of order n alone.
class AlsSystem {
 public:
  // Throws NumericError where D or the system is not positive.
  AlsSystem(std::span<const float> items, std::span<const double> weights,
            std::span<const double> diagonal);

  // A^-1 v, of d elements.
  std::vector<double> Solve(std::span<const double> v) const;

 private:
  int64_t n_, d_;
  bool short_side_;
  std::vector<double> roots_;   // D^1/2
  std::vector<double> b_;       // n x d
  std::vector<double> factor_;  // lower Cholesky factor of order min(n, d)
};

}  // namespace penchant

#endif  // PENCHANT_IO_READER_ALS_SYSTEM_H_
