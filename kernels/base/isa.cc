#include "kernels/base/isa.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "kernels/base/errors.h"

namespace penchant {
namespace {

std::atomic<int> selected{0};  // 0: not chosen yet

Isa ChooseAtStart() {
  const std::vector<Isa> supported = SupportedIsas();
  const char* wish = std::getenv("PENCHANT_ISA");
  if (wish == nullptr || *wish == '\0') return supported.back();
  for (Isa isa : supported) {
    if (std::string(wish) == IsaName(isa)) return isa;
  }
  std::string names;
  for (Isa isa : supported) names += std::string(names.empty() ? "" : ", ") + IsaName(isa);
  throw InvalidArgument("PENCHANT_ISA=" + std::string(wish) + ": this machine runs " + names);
}

}  // namespace

const char* IsaName(Isa isa) {
  switch (isa) {
    case Isa::kV2:
      return "v2";
    case Isa::kV3:
      return "v3";
    case Isa::kV4:
      return "v4";
  }
  return "unknown";
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> supported = {Isa::kV2};
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                  __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  if (v3) supported.push_back(Isa::kV3);
  if (v4) supported.push_back(Isa::kV4);
#endif
  return supported;
}

Isa SelectedIsa() {
  int level = selected.load(std::memory_order_relaxed);
  if (level == 0) {
    level = static_cast<int>(ChooseAtStart());
    selected.store(level, std::memory_order_relaxed);
  }
  return static_cast<Isa>(level);
}

void SelectIsa(Isa isa) {
  const std::vector<Isa> supported = SupportedIsas();
  PENCHANT_REQUIRE(std::find(supported.begin(), supported.end(), isa) != supported.end(),
                   "this machine does not run instruction set level ", IsaName(isa));
  selected.store(static_cast<int>(isa), std::memory_order_relaxed);
}

}  // namespace penchant
