// Float32 to the nearest float16, ties to even, and back.
#ifndef PENCHANT_IO_ARTIFACT_FLOAT16_H_
#define PENCHANT_IO_ARTIFACT_FLOAT16_H_

#include <cstdint>

namespace penchant {

uint16_t ToFloat16(float value);
float FromFloat16(uint16_t bits);

}  // namespace penchant

#endif  // PENCHANT_IO_ARTIFACT_FLOAT16_H_
