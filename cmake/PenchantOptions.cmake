# Language level, warnings and sanitizers for every target.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_CUDA_STANDARD_REQUIRED OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

find_program(PENCHANT_CCACHE ccache)
if(PENCHANT_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${PENCHANT_CCACHE})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${PENCHANT_CCACHE})
endif()

add_library(penchant_options INTERFACE)
target_include_directories(penchant_options INTERFACE ${PROJECT_SOURCE_DIR})
# Never -ffast-math: the checks for NaN must work.
target_compile_options(penchant_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:
  -Wall -Wextra -Wno-psabi
  # GCC 12 sees overlaps in std::string that are not there (GCC bug 105651).
  $<$<AND:$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict>
  $<$<BOOL:${PENCHANT_WERROR}>:-Werror> $<$<CONFIG:Release>:-O3>>)
# CMake 3.25.1 takes CMAKE_CUDA_STANDARD 20 for 17, silently.
target_compile_options(penchant_options INTERFACE $<$<COMPILE_LANGUAGE:CUDA>:
  -std=c++20 --expt-relaxed-constexpr -Xcompiler=-Wall,-Wextra
  $<$<BOOL:${PENCHANT_WERROR}>:-Werror=all-warnings>>)
if(PENCHANT_SANITIZE)
  add_compile_options(-fsanitize=${PENCHANT_SANITIZE} -fno-omit-frame-pointer -g
                      -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${PENCHANT_SANITIZE})
  if(PENCHANT_SANITIZE MATCHES "thread")
    # Protobuf's headers add members to its classes under this macro, which the installed
    # libprotobuf was built without.
    add_compile_options(-U__SANITIZE_THREAD__)
  endif()
endif()
if(PENCHANT_FUZZ)
  # What the fuzzers link reports its branches too.
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
