// The twins' own declarations, so that a .cu file and the table in cuda_ops.cu agree.
#ifndef PENCHANT_KERNELS_CUDA_TWINS_CUH_
#define PENCHANT_KERNELS_CUDA_TWINS_CUH_

#include "kernels/base/cuda.cuh"
#include "kernels/cuda_ops.h"

namespace penchant::PENCHANT_CUDA_NAMESPACE {

std::vector<double> Gram(Context&, MatrixView<const float>);
void Rotate(Context&, MatrixView<const float> rotation, MatrixView<float> table);
Eigenbasis RotateToEigenbasis(Context&, MatrixView<float>);
void RoundToBfloat16(Context&, MatrixView<float>, Bfloat16* packed);
void RequireFinite(Context&, MatrixView<const float>, const std::string& what);
DeviceCsr CsrFromCoordinates(Context&, const Coordinates&, int64_t rows, int64_t cols, Duplicates,
                             int64_t* merged);
DeviceCsr Transpose(Context&, const CsrView&, int64_t nnz);
void AverageRows(Context&, const CsrView& lists, MatrixView<const float> table,
                 MatrixView<float> out);
CudaRowPlan PlanRows(Context&, const CsrView&, int64_t factors);
std::shared_ptr<const SolveReport> SolveRows(Context&, const AlsObjective&, const FixedSide&,
                                             const CsrView&, const RowPlan&, MatrixView<float> out);
double AlsLoss(Context&, const AlsObjective&, MatrixView<const float> users,
               MatrixView<const float> items, const CsrBlocks& user_items,
               const CsrBlocks& item_users);
std::shared_ptr<const EpochReport> RunRankingEpoch(Context&, const RankingEpoch&, const EpochOrder&,
                                                   const CsrPositives&, const RankingTables&);
std::shared_ptr<const EpochReport> RunSkipGramEpoch(Context&, const RankingEpoch&,
                                                    const EpochOrder&, const SkipGramContexts&,
                                                    const RankingTables&);
void NormalizeRows(Context&, MatrixView<float>);
void GatherRows(Context&, MatrixView<const float> table, const int32_t* rows,
                MatrixView<float> out);
void TopK(Context&, MatrixView<const float> queries, const ItemIndex&, const TopKOptions&,
          int32_t* ids, float* scores);
void JudgeLists(Context&, const ListsToJudge&, RankingMetrics*, uint8_t* recommended);

}  // namespace penchant::PENCHANT_CUDA_NAMESPACE

#endif  // PENCHANT_KERNELS_CUDA_TWINS_CUH_
