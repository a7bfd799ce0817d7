// Every op's CUDA twin, as the ops' dispatch sees them. A backend fills this table once (in
// cuda_ops.cu); an op without a twin does not compile there.
#ifndef PENCHANT_KERNELS_CUDA_OPS_H_
#define PENCHANT_KERNELS_CUDA_OPS_H_

#include <string>
#include <vector>

#include "kernels/als/solve_rows.h"
#include "kernels/base/bfloat16.h"
#include "kernels/base/context.h"
#include "kernels/linalg/eigenbasis.h"
#include "kernels/score/ranking_metrics.h"
#include "kernels/score/top_k.h"
#include "kernels/sgd/ranking_epoch.h"
#include "kernels/sparse/csr.h"
#include "kernels/sparse/csr_blocks.h"

namespace penchant {

struct CudaOps {
  // linalg
  std::vector<double> (*gram)(Context&, MatrixView<const float>);
  void (*rotate)(Context&, MatrixView<const float> rotation, MatrixView<float> table);
  Eigenbasis (*rotate_to_eigenbasis)(Context&, MatrixView<float>);
  void (*round_to_bfloat16)(Context&, MatrixView<float>, Bfloat16* packed);
  void (*require_finite)(Context&, MatrixView<const float>, const std::string& what);
  // sparse
  DeviceCsr (*csr_from_coordinates)(Context&, const Coordinates&, int64_t rows, int64_t cols,
                                    Duplicates, int64_t* merged);
  DeviceCsr (*transpose)(Context&, const CsrView&, int64_t nnz);
  void (*average_rows)(Context&, const CsrView& lists, MatrixView<const float> table,
                       MatrixView<float> out);
  // als
  CudaRowPlan (*plan_rows)(Context&, const CsrView&, int64_t factors);
  std::shared_ptr<const SolveReport> (*solve_rows)(Context&, const AlsObjective&, const FixedSide&,
                                                   const CsrView&, const RowPlan&,
                                                   MatrixView<float> out);
  double (*als_loss)(Context&, const AlsObjective&, MatrixView<const float> users,
                     MatrixView<const float> items, const CsrBlocks& user_items,
                     const CsrBlocks& item_users);
  // sgd
  std::shared_ptr<const EpochReport> (*ranking_epoch)(Context&, const RankingEpoch&,
                                                      const EpochOrder&, const CsrPositives&,
                                                      const RankingTables&);
  std::shared_ptr<const EpochReport> (*skip_gram_epoch)(Context&, const RankingEpoch&,
                                                        const EpochOrder&, const SkipGramContexts&,
                                                        const RankingTables&);
  void (*normalize_rows)(Context&, MatrixView<float>);
  // score
  void (*gather_rows)(Context&, MatrixView<const float> table, const int32_t* rows,
                      MatrixView<float> out);
  void (*top_k)(Context&, MatrixView<const float> queries, const ItemIndex&, const TopKOptions&,
                int32_t* ids, float* scores);
  void (*judge_lists)(Context&, const ListsToJudge&, RankingMetrics*, uint8_t* recommended);
};

}  // namespace penchant

#endif  // PENCHANT_KERNELS_CUDA_OPS_H_
