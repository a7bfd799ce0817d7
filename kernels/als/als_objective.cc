#include "kernels/als/als_objective.h"

#include <cmath>

#include "kernels/base/errors.h"

namespace penchant {

double AlsObjective::RowRegularization(int64_t n, int64_t num_fixed) const {
  const double frequency =
      static_cast<double>(n) + unobserved_weight * static_cast<double>(num_fixed);
  return regularization * std::pow(frequency, regularization_power);
}

void AlsObjective::Validate() const {
  PENCHANT_REQUIRE(std::isfinite(alpha) && alpha > 0, "alpha must be finite and > 0; got ", alpha);
  PENCHANT_REQUIRE(std::isfinite(unobserved_weight) && unobserved_weight >= 0,
                   "unobserved_weight must be finite and >= 0; got ", unobserved_weight);
  PENCHANT_REQUIRE(std::isfinite(regularization) && regularization > 0,
                   "regularization must be finite and > 0; got ", regularization);
  PENCHANT_REQUIRE(std::isfinite(regularization_power), "regularization_power must be finite; got ",
                   regularization_power);
}

}  // namespace penchant
