# Decides whether the CUDA twins are built, and says so. Their sources are listed once, here: nvcc
# compiles them for GPUs, tests/cuda_host for the CPU.
set(PENCHANT_CUDA_SOURCES
  base/cuda_availability.cu
  base/cuda_device.cu
  linalg/eigenbasis.cu
  linalg/finite.cu
  linalg/gram.cu
  linalg/normalize_rows.cu
  linalg/round_to_bfloat16.cu
  sparse/average_rows.cu
  sparse/csr.cu
  als/loss.cu
  als/row_plan.cu
  als/solve_rows.cu
  als/solve_rows_bfloat16.cu
  als/solve_rows_float.cu
  score/gather_rows.cu
  score/ranking_metrics.cu
  score/top_k.cu
  sgd/ranking_epoch.cu
  cuda_ops.cu
)

if(NOT PENCHANT_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "PENCHANT_CUDA is \"${PENCHANT_CUDA}\"; wanted AUTO, ON or OFF")
endif()

set(PENCHANT_HAS_CUDA OFF)
if(NOT PENCHANT_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  if(NOT CMAKE_CUDA_COMPILER AND EXISTS /usr/local/cuda/bin/nvcc)
    set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc)
  endif()
  # Real code for each architecture, and PTX of the newest for those to come.
  set(PENCHANT_CUDA_ARCHITECTURES "80-real;90-real;100-real;120" CACHE STRING
      "CUDA architectures; developers build one, e.g. 90-real")
  set(CMAKE_CUDA_ARCHITECTURES ${PENCHANT_CUDA_ARCHITECTURES})
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(PENCHANT_HAS_CUDA ON)
    message(STATUS "PENCHANT_CUDA=${PENCHANT_CUDA}: building the CUDA twins with "
                   "${CMAKE_CUDA_COMPILER} ${CMAKE_CUDA_COMPILER_VERSION} for "
                   "${PENCHANT_CUDA_ARCHITECTURES}")
  elseif(PENCHANT_CUDA STREQUAL "ON")
    message(FATAL_ERROR "PENCHANT_CUDA=ON, but no nvcc was found; put the CUDA toolkit's bin/ on "
                        "PATH or set CMAKE_CUDA_COMPILER, or configure with PENCHANT_CUDA=OFF")
  else()
    message(STATUS "PENCHANT_CUDA=AUTO: no nvcc was found, building the CPU backend only")
  endif()
endif()
