// The check that arithmetic stayed among the finite numbers.
#ifndef PENCHANT_KERNELS_LINALG_FINITE_H_
#define PENCHANT_KERNELS_LINALG_FINITE_H_

#include <string>

#include "kernels/base/context.h"
#include "kernels/base/view.h"

namespace penchant {

// Throws NumericError naming `what` and the first row that holds a non-finite value: at once on
// the CPU, from context.Synchronize() on CUDA.
void RequireFinite(Context& context, MatrixView<const float> table, const std::string& what);

// The error's wording, for both twins.
[[noreturn]] void ThrowNotFinite(const std::string& what, int64_t row);

}  // namespace penchant

#endif  // PENCHANT_KERNELS_LINALG_FINITE_H_
