#include "kernels/als/row_launcher.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

template void LaunchRowSolves<Bfloat16>(Context&, const RowProblem&, const RowList&,
                                        const CudaRowPlan&);

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
