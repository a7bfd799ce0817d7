// Float32 to the nearest float16 or bfloat16, ties to even, and back.
#ifndef PENCHANT_IO_ARTIFACT_HALF_FLOAT_H_
#define PENCHANT_IO_ARTIFACT_HALF_FLOAT_H_

#include <cstdint>

namespace penchant {

uint16_t ToFloat16(float value);
uint16_t ToBfloat16(float value);
float FromFloat16(uint16_t bits);
float FromBfloat16(uint16_t bits);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_HALF_FLOAT_H_
