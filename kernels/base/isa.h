// Which instruction set the CPU kernels use. One binary carries every level; the best one the
// machine has is chosen once, at first use. PENCHANT_ISA=v2|v3|v4 overrides the choice.
#ifndef PENCHANT_KERNELS_BASE_ISA_H_
#define PENCHANT_KERNELS_BASE_ISA_H_

#include <string>
#include <vector>

namespace penchant {

// x86-64 micro-architecture levels (psABI); kV2 is also the portable 128-bit build elsewhere.
enum class Isa { kV2 = 2, kV3 = 3, kV4 = 4 };

const char* IsaName(Isa isa);

// Levels this machine can run, lowest first.
std::vector<Isa> SupportedIsas();

// The level in use. Throws InvalidArgument if PENCHANT_ISA names none or one the machine lacks.
Isa SelectedIsa();

// Switches the level, for tests and benchmarks. REQUIRES: no kernel is running.
void SelectIsa(Isa isa);

}  // namespace penchant

// Defines `const Type& Selected<Name>()`: the k<Name> of the level in use, of those that the levels
// of a *.simd.cc file define (PENCHANT_ISA_SYMBOL in simd.h). In namespace penchant.
#if defined(__x86_64__)
#define PENCHANT_DEFINE_SELECTED(Type, Name)                                               \
  extern const Type k##Name##_v2, k##Name##_v3, k##Name##_v4;                              \
  const Type& Selected##Name() {                                                           \
    const Isa isa = SelectedIsa();                                                         \
    return isa == Isa::kV4 ? k##Name##_v4 : isa == Isa::kV3 ? k##Name##_v3 : k##Name##_v2; \
  }
#else
#define PENCHANT_DEFINE_SELECTED(Type, Name) \
  extern const Type k##Name##_v2;            \
  const Type& Selected##Name() { return k##Name##_v2; }
#endif

#endif  // PENCHANT_KERNELS_BASE_ISA_H_
