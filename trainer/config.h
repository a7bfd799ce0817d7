// Text-proto training configs: parsing with line and column, and overrides by dotted path.
#ifndef PENCHANT_TRAINER_CONFIG_H_
#define PENCHANT_TRAINER_CONFIG_H_

#include <string>

#include "configs/train_config.pb.h"

namespace penchant {

// Parses a TrainConfig. Throws DataError "name:line:column: what is wrong" (unknown fields too).
config::TrainConfig ParseTrainConfig(const std::string& text, const std::string& name);

// Applies "als.factors=256". Throws InvalidArgument quoting the override.
void ApplyOverride(const std::string& assignment, config::TrainConfig* config);

std::string TrainConfigText(const config::TrainConfig& config);

// Checks what every run needs: one algorithm and values in their domains.
void ValidateTrainConfig(const config::TrainConfig& config);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_CONFIG_H_
