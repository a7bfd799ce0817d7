// Ranking metrics by name.
#ifndef PENCHANT_TRAINER_METRICS_H_
#define PENCHANT_TRAINER_METRICS_H_

#include <string>

#include "kernels/score/ranking_metrics.h"

namespace penchant {

inline constexpr const char* kMetricNames[] = {"recall", "precision", "ndcg",
                                               "map",    "mrr",       "hit_rate"};

// The metric of that name; InvalidArgument names the known ones.
double MetricByName(const RankingMetrics& metrics, const std::string& name);

}  // namespace penchant

#endif  // PENCHANT_TRAINER_METRICS_H_
