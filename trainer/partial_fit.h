// Adding or replacing rows of a finished model.
#ifndef PENCHANT_TRAINER_PARTIAL_FIT_H_
#define PENCHANT_TRAINER_PARTIAL_FIT_H_

#include <span>

#include "io/model/model.h"
#include "kernels/base/context.h"

namespace penchant {

// Puts factors (one row per entry of `rows`) into the user table, growing it to `users` (whose
// first rows are the model's). Everything else stays.
void ReplaceUsers(std::shared_ptr<const IdDictionary> users, std::span<const int32_t> rows,
                  const Matrix& factors, Model* model);

// The same for items. A model with item eigenvalues is then turned to the items' new eigenbasis
// (users with it, so scores do not change beyond rounding), because fold-in reads them; item
// centers become the factors too.
void ReplaceItems(Context& context, std::shared_ptr<const IdDictionary> items,
                  std::span<const int32_t> rows, const Matrix& factors, Model* model);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_PARTIAL_FIT_H_
