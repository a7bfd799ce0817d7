// What a learning algorithm is to the session: something that is set up once, improves its factor
// tables an iteration at a time, and can fold new rows into a finished model.
#ifndef PENCHANT_TRAINER_ALGORITHM_H_
#define PENCHANT_TRAINER_ALGORITHM_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "configs/train_config.pb.h"
#include "io/dataset/interactions.h"
#include "io/model/model.h"
#include "kernels/base/context.h"

namespace penchant {

// The size of a training problem.
struct ProblemShape {
  int64_t num_users = 0;
  int64_t num_items = 0;
  int64_t nnz = 0;
  bool weighted = false;
  int64_t longest_row = 0;  // most interactions of one user or item; 0: unknown, take nnz's bound
  int64_t num_events = 0;   // rows that merged to the interactions; 0: unknown, take nnz
};

// Most observations of a row, or what bounds them.
inline int64_t LongestRow(const ProblemShape& shape) {
  return shape.longest_row > 0 ? shape.longest_row
                               : std::min(shape.nnz, std::max(shape.num_users, shape.num_items));
}

// One line of a memory estimate.
struct MemoryItem {
  const char* what;
  int64_t bytes;
};

// Where training begins.
struct TrainingStart {
  uint64_t seed = 0;
  // Tables to go on from (their rows come first; rows beyond them are new); null: from the seed.
  const FactorTables* tables = nullptr;
  // Iterations that `tables` has behind it, when it is this very run that goes on.
  int iterations_done = 0;
  int parts_done = 0;  // of the iteration after these, when the run was stopped within it
  // CUDA: about how many bytes of the interactions may be on the device at a time; 0: all of them.
  int64_t block_bytes = 0;
};

// User and item factors on a context's device.
struct FactorViews {
  MatrixView<const float> users;
  MatrixView<const float> items;
};

// Asked between the parts of a pass.
using StopRequest = std::function<bool()>;

class Algorithm {
 public:
  virtual ~Algorithm() = default;

  // How many iterations a full run takes.
  virtual int num_iterations() const = 0;

  // Sets up the tables for `interactions`, which outlives the algorithm.
  virtual void Initialize(Context& context, const Interactions& interactions,
                          const TrainingStart& start) = 0;

  // Goes on with a pass over the data until it is over or, between two of its parts, `stop` says
  // so; everything is finished on return. Returns whether the pass is over. Leaves the tables
  // consistent; throws NumericError when a table holds a non-finite value afterwards.
  virtual bool RunIteration(Context& context, const StopRequest& stop) = 0;
  // Parts done of a pass that was stopped.
  virtual int parts_done() const { return 0; }

  // The training objective at the present tables.
  virtual double Loss(Context& context) const = 0;

  // The tables where they are, on the context's device.
  virtual FactorViews factors() const = 0;
  // A copy of them on the host.
  virtual FactorTables Snapshot(Context& context) const = 0;
  // Adds to a snapshot what it takes to go on from it.
  virtual void SaveState(Context&, FactorTables*) const {}
  // Takes an earlier snapshot's tables for the present ones. All that is left is to take them out.
  virtual void Restore(Context& context, FactorTables snapshot) = 0;
  // Moves the tables out, to the host, as a finished model has them (same scores); the algorithm is
  // finished.
  virtual FactorTables TakeTables(Context& context) = 0;
};

// Computes factors of unseen rows against a finished model. May cache; not thread-safe.
class FoldIn {
 public:
  virtual ~FoldIn() = default;
  // Factors of users given their interactions with the model's items (rows x num_items).
  virtual Matrix Users(Context& context, const CsrView& user_items) = 0;
  // Factors of items given their interactions with the model's users (rows x num_users).
  virtual Matrix Items(Context& context, const CsrView& item_users) = 0;
  // For each interaction of the one row `user`, its part of the score of `item`: the parts sum to
  // the score of the folded-in user. Throws InvalidArgument where the algorithm has none.
  virtual std::vector<double> Explain(Context& context, const CsrView& user, int32_t item) = 0;
};

}  // namespace penchant

#endif  // PENCHANT_TRAINER_ALGORITHM_H_
