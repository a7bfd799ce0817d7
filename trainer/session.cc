#include "trainer/session.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "io/dataset/split.h"
#include "io/file/checksum.h"
#include "kernels/base/errors.h"
#include "kernels/base/log.h"
#include "trainer/config.h"
#include "trainer/evaluator.h"
#include "trainer/memory_estimate.h"
#include "trainer/registry.h"

namespace penchant {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

struct WatchedMetric {
  std::string name;
  int64_t k;
};

WatchedMetric ParseMetric(const std::string& text) {
  const size_t at = text.find('@');
  WatchedMetric metric{text.substr(0, at), 0};
  if (at != std::string::npos) metric.k = std::atoll(text.c_str() + at + 1);
  PENCHANT_REQUIRE(metric.k >= 1, "early_stopping.metric must look like \"ndcg@20\"; got \"", text,
                   "\"");
  MetricByName(RankingMetrics{}, metric.name);  // throws on an unknown name
  return metric;
}

int64_t LongestRow(const CsrView& rows) {
  int64_t longest = 0;
  for (int64_t i = 0; i < rows.rows; ++i) longest = std::max(longest, rows.row_size(i));
  return longest;
}

// What must agree for a checkpoint to be gone on from. Threads, device, output and the number of
// iterations may differ: they do not change the iterations already done.
config::TrainConfig ResumableConfig(config::TrainConfig config) {
  config.clear_data();
  config.clear_evaluation();
  config.clear_checkpoint();
  config.clear_output();
  config.clear_device();
  config.clear_num_threads();
  config.clear_memory_budget();
  config.clear_max_seconds();
  if (config.has_als()) config.mutable_als()->clear_iterations();
  return config;
}

void CheckWeights(const Interactions& train, const config::TrainConfig& config) {
  if (!config.has_als()) return;
  // Below this, float32 cannot hold the square root's reciprocal scale of a confidence.
  constexpr double kSmallest = 1e-30;
  for (float value : train.user_items.values) {
    PENCHANT_REQUIRE(config.als().alpha() * std::abs(value) >= kSmallest,
                     "an interaction has weight ", value, ": alpha * |weight| must be at least ",
                     kSmallest, "; scale the weights or drop such rows");
  }
}

// Holds a CUDA device to the budget while a session runs.
class BudgetScope {
 public:
  BudgetScope(const Context& context, int64_t bytes) : device_(context.cuda()) {
    if (device_ != nullptr) device_->set_memory_budget(bytes);
  }
  ~BudgetScope() {
    if (device_ != nullptr) device_->set_memory_budget(0);
  }
  BudgetScope(const BudgetScope&) = delete;
  BudgetScope& operator=(const BudgetScope&) = delete;

 private:
  CudaDevice* device_;
};

}  // namespace

const char* Version() { return PENCHANT_VERSION; }

std::string Session::CheckpointPath(const config::TrainConfig& config) {
  const std::string& directory = config.checkpoint().directory();
  if (directory.empty()) return "";
  return (std::filesystem::path(directory) / "checkpoint.safetensors").string();
}

Session::Session(SessionOptions options) : options_(std::move(options)) {
  PENCHANT_REQUIRE(options_.train != nullptr, "training needs interactions");
  ValidateTrainConfig(options_.config);
  PENCHANT_REQUIRE(options_.train->nnz() > 0, "there is no interaction to train on (",
                   options_.train->num_users(), " users, ", options_.train->num_items(), " items)");
  PENCHANT_REQUIRE(!options_.resume || !CheckpointPath(options_.config).empty(),
                   "resume needs checkpoint.directory");
  FindAlgorithm(options_.config).resolve(*options_.train, &options_.config);
  CheckWeights(*options_.train, options_.config);
  PrepareParts();
}

int64_t Session::FitMemory(const Context& context) const {
  const Interactions& train = *options_.train;
  const ProblemShape shape{
      train.num_users(),
      train.num_items(),
      train.nnz(),
      !train.user_items.values.empty(),
      std::max(LongestRow(train.user_items.view()), LongestRow(train.item_users.view())),
      static_cast<int64_t>(train.events.users.size())};
  const CudaDevice* cuda = context.cuda();
  const int64_t budget = ParseBytes(options_.config.memory_budget());
  const int64_t available = cuda != nullptr ? cuda->facts().free_bytes : AvailableMemory();
  const int64_t allowed = budget > 0 ? budget : available;
  MemoryEstimate estimate;
  const auto fits = [&](int64_t block_bytes) {
    estimate =
        EstimateMemory(options_.config, shape, context.num_threads(), cuda != nullptr, block_bytes);
    return (budget > 0 ? estimate.total() : estimate.training_bytes) <= allowed;
  };
  if (fits(0)) return 0;
  if (cuda != nullptr && FindAlgorithm(options_.config).takes_blocks) {
    for (int64_t block_bytes : kBlockBytes) {
      if (!fits(block_bytes)) continue;
      Log(LogLevel::kInfo, internal::Concat("the interactions do not fit the device beside the "
                                            "factors: they pass through it in blocks of ",
                                            FormatBytes(block_bytes)));
      return block_bytes;
    }
  }
  const int64_t needed = budget > 0 ? estimate.total() : estimate.training_bytes;
  std::string message = "training on " + context.device_name() + " needs " + FormatBytes(needed) +
                        " and " + FormatBytes(allowed) +
                        (budget > 0 ? " are allowed (memory_budget):" : " are available:");
  for (const MemoryItem& item : estimate.items) {
    message += "\n  " + FormatBytes(item.bytes) + "  " + item.what;
  }
  throw DeviceError(message + (cuda != nullptr ? "\nFewer factors need less."
                                               : "\nFewer factors or num_threads need less."));
}

void Session::PrepareParts() {
  manifest_.set_kind("model");
  manifest_.set_algorithm(FindAlgorithm(options_.config).name);
  manifest_.set_penchant_version(Version());
  *manifest_.mutable_config() = options_.config;
  auto* data = manifest_.mutable_data();
  data->set_num_users(options_.train->num_users());
  data->set_num_items(options_.train->num_items());
  data->set_num_interactions(options_.train->nnz());
  data->set_xxh3(ChecksumHex(options_.train->Fingerprint()));
  if (FindAlgorithm(options_.config).reads_events && !options_.train->events.empty()) {
    data->set_events_xxh3(ChecksumHex(options_.train->events.Fingerprint()));
  }
  train_ = options_.train;
  const double fraction = options_.config.early_stopping().validation_fraction();
  if (fraction > 0) {
    ParseMetric(options_.config.early_stopping().metric());
    const Split split = SplitRandom(*options_.train, fraction, options_.config.seed());
    train_ = split.train;
    validation_ = split.test;
    PENCHANT_REQUIRE(validation_->nnz() > 0 && train_->nnz() > 0,
                     "early_stopping.validation_fraction ", fraction, " of ", options_.train->nnz(),
                     " interactions leaves no validation data");
  }
}

Session::Progress Session::Resume() {
  const std::string path = CheckpointPath(options_.config);
  if (!options_.resume || !std::filesystem::exists(path)) return {};
  checkpoint_ = LoadModel(path);
  const config::ModelManifest& saved = checkpoint_->manifest;
  PENCHANT_CHECK(saved.kind() == "checkpoint", DataError, path, ": this is a ", saved.kind(),
                 ", not a checkpoint");
  PENCHANT_REQUIRE(saved.data().xxh3() == manifest_.data().xxh3(), path,
                   ": the checkpoint was trained on other interactions (fingerprint ",
                   saved.data().xxh3(), ", these have ", manifest_.data().xxh3(), ")");
  PENCHANT_REQUIRE(saved.data().events_xxh3() == manifest_.data().events_xxh3(), path,
                   ": the checkpoint was trained on the same pairs with other events or times "
                   "(fingerprint \"",
                   saved.data().events_xxh3(), "\", these have \"", manifest_.data().events_xxh3(),
                   "\")");
  PENCHANT_REQUIRE(google::protobuf::util::MessageDifferencer::Equals(
                       ResumableConfig(saved.config()), ResumableConfig(options_.config)),
                   path, ": the checkpoint was trained with another config:\n",
                   TrainConfigText(ResumableConfig(saved.config())), "this run has:\n",
                   TrainConfigText(ResumableConfig(options_.config)));
  *manifest_.mutable_history() = saved.history();
  manifest_.set_best_iteration(saved.best_iteration());
  if (validation_) {
    for (const auto& record : saved.history()) {
      if (record.iteration() == saved.best_iteration()) best_value_ = record.validation();
    }
    since_best_ = saved.iterations_done() - saved.best_iteration();
    best_ = std::move(checkpoint_->best);
  }
  return {saved.iterations_done(), saved.parts_done()};
}

bool Session::WriteCheckpoint(Context& context, const Algorithm& algorithm) {
  const std::string path = CheckpointPath(options_.config);
  if (path.empty()) return false;
  std::filesystem::create_directories(options_.config.checkpoint().directory());
  Model model;
  model.manifest = manifest_;
  model.manifest.set_kind("checkpoint");
  model.users = options_.train->users;
  model.items = options_.train->items;
  model.factors = algorithm.Snapshot(context);
  algorithm.SaveState(context, &model.factors);
  if (validation_) model.best = best_.Clone();
  SaveModel(model, path);
  return true;
}

double Session::Validate(Context& context, const FactorViews& factors) const {
  const WatchedMetric watched = ParseMetric(options_.config.early_stopping().metric());
  const CsrView train = train_->user_items.view();
  const Evaluation evaluation = Evaluate(context, factors.users, factors.items,
                                         validation_->user_items.view(), &train, {watched.k});
  return MeanMetric(evaluation.at_k[0], watched.name);
}

IterationReport Session::Judge(Context& context, const Algorithm& algorithm, int iteration) {
  IterationReport report;
  report.iteration = iteration;
  report.num_iterations = algorithm.num_iterations();
  manifest_.set_iterations_done(iteration);
  auto* record = manifest_.add_history();
  record->set_iteration(iteration);
  if (options_.compute_loss) {
    report.loss = algorithm.Loss(context);
    record->set_loss(*report.loss);
  }
  if (!validation_) return report;
  report.validation = Validate(context, algorithm.factors());
  record->set_validation(*report.validation);
  ++since_best_;
  if (best_.users.cols() == 0 || *report.validation > best_value_) {
    best_value_ = *report.validation;
    best_ = algorithm.Snapshot(context);
    manifest_.set_best_iteration(iteration);
    since_best_ = 0;
  }
  return report;
}

std::shared_ptr<Model> Session::Run(Context& context, const Callback& callback) {
  const double started = Seconds(), max_seconds = options_.config.max_seconds();
  PENCHANT_REQUIRE(max_seconds >= 0, "max_seconds must be >= 0; got ", max_seconds);
  const int64_t block_bytes = FitMemory(context);
  const BudgetScope budget(context, ParseBytes(options_.config.memory_budget()));
  const std::unique_ptr<Algorithm> algorithm = FindAlgorithm(options_.config).make(options_.config);
  const int num_iterations = algorithm->num_iterations();
  const auto out_of_time = [&] { return max_seconds > 0 && Seconds() - started >= max_seconds; };
  const auto tell_out_of_time = [&](const std::string& where) {
    Log(LogLevel::kInfo,
        internal::Concat("stopped ", where, " of ", num_iterations, ": max_seconds=", max_seconds));
  };
  const Progress done = Resume();
  const FactorTables* start = checkpoint_           ? &checkpoint_->factors
                              : options_.warm_start ? &options_.warm_start->factors
                                                    : nullptr;
  algorithm->Initialize(context, *train_,
                        {options_.config.seed(), start, done.iterations, done.parts, block_bytes});
  checkpoint_.reset();
  const auto& early = options_.config.early_stopping();
  manifest_.set_iterations_done(done.iterations);
  bool stop = validation_ && done.iterations > 0 && since_best_ >= early.patience();
  for (int iteration = done.iterations + 1; iteration <= num_iterations && !stop; ++iteration) {
    const double begin = Seconds();
    const bool whole = algorithm->RunIteration(context, out_of_time);
    manifest_.set_parts_done(algorithm->parts_done());
    if (!whole) {
      tell_out_of_time(internal::Concat("within iteration ", iteration));
      WriteCheckpoint(context, *algorithm);
      break;
    }
    IterationReport report = Judge(context, *algorithm, iteration);
    stop = validation_ && since_best_ >= early.patience();
    if (iteration % options_.config.checkpoint().every() == 0) {
      report.checkpointed = WriteCheckpoint(context, *algorithm);
    }
    report.seconds = Seconds() - begin;
    const bool told_to_stop = callback && !callback(report);
    const bool no_time = out_of_time();
    if (no_time && iteration < num_iterations && !stop) {
      tell_out_of_time(internal::Concat("after iteration ", iteration));
    }
    if (told_to_stop || no_time) {
      if (!report.checkpointed) WriteCheckpoint(context, *algorithm);
      break;
    }
  }
  auto model = std::make_shared<Model>();
  model->manifest = manifest_;
  model->users = options_.train->users;
  model->items = options_.train->items;
  if (best_.users.cols() > 0) algorithm->Restore(context, std::move(best_));
  model->factors = algorithm->TakeTables(context);
  return model;
}

}  // namespace penchant
