#include "kernels/cuda_ops.h"
#include "kernels/cuda_twins.cuh"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

extern const CudaOps kOps;
const CudaOps kOps = {
    .gram = Gram,
    .rotate = Rotate,
    .rotate_to_eigenbasis = RotateToEigenbasis,
    .round_to_bfloat16 = RoundToBfloat16,
    .require_finite = RequireFinite,
    .csr_from_coordinates = CsrFromCoordinates,
    .transpose = Transpose,
    .average_rows = AverageRows,
    .plan_rows = PlanRows,
    .solve_rows = SolveRows,
    .als_loss = AlsLoss,
    .ranking_epoch = RunRankingEpoch,
    .skip_gram_epoch = RunSkipGramEpoch,
    .normalize_rows = NormalizeRows,
    .gather_rows = GatherRows,
    .top_k = TopK,
    .judge_lists = JudgeLists,
};

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE
