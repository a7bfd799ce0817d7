// What implicit ALS minimizes.
//
// Objective (Hu, Koren, Volinsky 2008; frequency-scaled regularization of Rendle et al. 2021):
//     L = sum over observed (u,i) of  c_ui (p_ui - x_u.y_i)^2
//       + w0 * sum over unobserved (u,i) of (x_u.y_i)^2
//       + sum_u lambda_u |x_u|^2 + sum_i lambda_i |y_i|^2
//     c_ui = w0 + alpha |r_ui|;  p_ui = 1 if r_ui > 0, 0 if r_ui < 0 (a disliked item)
//     lambda_u = regularization * (n_u + w0 * num_items)^regularization_power, likewise for items
// with w0 = unobserved_weight.
#ifndef PENCHANT_KERNELS_ALS_ALS_OBJECTIVE_H_
#define PENCHANT_KERNELS_ALS_ALS_OBJECTIVE_H_

#include <cstdint>

namespace penchant {

struct AlsObjective {
  double alpha = 1.0;
  double unobserved_weight = 1.0;
  double regularization = 0.01;
  double regularization_power = 1.0;

  // lambda of a row with n observations against a fixed side of `num_fixed` rows.
  double RowRegularization(int64_t n, int64_t num_fixed) const;

  // Throws InvalidArgument naming the parameter outside its domain: alpha, unobserved_weight > 0
  // (the latter may be 0), regularization > 0, all finite.
  void Validate() const;
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_ALS_ALS_OBJECTIVE_H_
