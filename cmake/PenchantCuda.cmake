# Decides whether the CUDA twins are built, and says so.
if(NOT PENCHANT_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "PENCHANT_CUDA is \"${PENCHANT_CUDA}\"; wanted AUTO, ON or OFF")
endif()
if(PENCHANT_CUDA STREQUAL "ON")
  message(FATAL_ERROR "PENCHANT_CUDA=ON: this version of Penchant has no CUDA kernels yet; "
                      "configure with PENCHANT_CUDA=AUTO or OFF")
endif()
message(STATUS "PENCHANT_CUDA=${PENCHANT_CUDA}: building the CPU backend only "
               "(this version has no CUDA kernels yet)")
