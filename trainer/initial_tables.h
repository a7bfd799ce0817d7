// How factor tables start: from random numbers or from an earlier model.
#ifndef PENCHANT_TRAINER_INITIAL_TABLES_H_
#define PENCHANT_TRAINER_INITIAL_TABLES_H_

#include <cstdint>

#include "kernels/base/context.h"
#include "kernels/base/memory.h"

namespace penchant {

// Fills columns [0, cols) of `table` (all by default) with normal numbers of this deviation, a
// function of (seed, row, column).
void DrawNormal(Context& context, uint64_t seed, double deviation, Matrix* table,
                int64_t cols = -1);

// Copies an earlier model's rows to the first rows of `to`. InvalidArgument when the shapes do not
// allow it; `side` names the rows in the message.
void CopyRows(const Matrix& from, const char* side, Matrix* to);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_INITIAL_TABLES_H_
