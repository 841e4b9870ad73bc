// CoordinateDescent: the learner that searches discrete weights one by one, without gradients and without
// full-precision weights behind them (CoNNTrA: Date, Carothers, Mitchell, Hendler, Magdon-Ismail, "Training Deep Neural
// Networks with Constrained Learning Parameters", ICRC 2020, arXiv 2009.00540; details that its abstract leaves open
// are ours).
//
//   theta in Omega^n, at random at first
//   a sweep: for each coordinate i, in random order:
//     theta_i <- the omega in Omega with the least loss, all other coordinates as they are;
//                of equals the old value, then the first one
//
// The order of a sweep is a permutation drawn from (seed, sweep). An epoch is `sweeps_per_epoch` sweeps, 1 by default,
// spread evenly over its batches: with M batches each looks at n / M coordinates. So with one batch of all training
// examples an epoch is a sweep on all of them, the loss never rises from trial to trial, and a sweep that changes
// nothing is a certificate: no change of a single coordinate makes the loss smaller (1-opt). The search then ends. With
// several batches the loss of each batch never rises while it is the one looked at.
//
// The loss is that of incremental_loss.h, whose sums are exact: nothing depends on the number of threads.
//
// The model that counts is the one of the epoch whose loss over all training batches is the least, the later of equals;
// with a single batch that is the last one.

#ifndef BITGRAD_MODELS_TRAINING_COORDINATE_DESCENT_H_
#define BITGRAD_MODELS_TRAINING_COORDINATE_DESCENT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/incremental_loss.h"
#include "bitgrad/models/training/learner.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

class CoordinateDescent final : public Learner {
 public:
  // Of the recipe's model, whose parameters `store` has. `loader` is the one whose batches RunEpoch() gets, of
  // `training_examples` in all, those included that it leaves out. Errors are those of DiscreteMlp::Create(). REQUIRES:
  // what is given by reference outlives this object.
  static absl::StatusOr<std::unique_ptr<CoordinateDescent>> Create(ExecContext& context, const recipe::Recipe& recipe,
                                                                   Model& model, ParameterStore& store,
                                                                   const BatchLoader& loader,
                                                                   int64_t training_examples);

  // Draws the initial values, unless a state was restored. Asks `stop` after each coordinate.
  absl::Status RunEpoch(int64_t epoch, EpochBatches& batches, absl::FunctionRef<void(const StepResult& step)> finished,
                        absl::FunctionRef<bool()> stop) override;
  LearnerState state() const override;
  absl::Status Restore(const LearnerState& state) override;
  double LearningRate(int64_t, int64_t) const override { return 0; }
  size_t peak_bytes() const override { return 0; }
  bool done() const override { return one_opt_; }
  absl::StatusOr<double> SelectionLoss(int64_t epoch, absl::FunctionRef<bool()> stop) override;
  // "changes" (of the last complete or running sweep), "trials_per_second" (of the whole run), "one_opt" (0 or 1).
  std::vector<ModelValue> Report() const override;
  void set_batch_listener(BatchListener listener) override { listener_ = std::move(listener); }

  const DiscreteMlp& net() const { return *net_; }
  // How many sums of losses over the examples have been compared with that of the values as they were.
  int64_t trials() const { return trials_; }
  // Called after each coordinate with the loss of the batch as it is now, in units of IncrementalLoss. For tests.
  using TrialListener = std::function<void(const Coordinate& at, bool changed, const IncrementalLoss& loss)>;
  void set_trial_listener(TrialListener listener) { trial_listener_ = std::move(listener); }

 private:
  CoordinateDescent(ExecContext& context, const recipe::Recipe& recipe, const BatchLoader& loader)
      : context_(context), loader_(loader), loss_(recipe.loss()), seed_(recipe.seed()) {}
  // How many coordinates the batches before this one look at, counted from the first batch of the run.
  int64_t PositionOf(int64_t batch) const;
  absl::Status Evaluate(const Batch& batch);
  void DrawOrder(int64_t sweep);
  // Looks at one coordinate; whether its value has changed.
  bool Improve(const Coordinate& at);
  absl::Status SearchBatch(absl::FunctionRef<bool()> stop);

  ExecContext& context_;
  const BatchLoader& loader_;
  const recipe::Loss loss_;
  const uint64_t seed_;
  double sweeps_per_epoch_ = 1;
  bool full_batch_ = false;
  std::unique_ptr<DiscreteMlp> net_;
  std::unique_ptr<IncrementalLoss> evaluation_;  // of the batch that is looked at
  std::vector<int64_t> order_;                   // of the sweep `order_of_`
  int64_t order_of_ = -1;
  BatchListener listener_;
  TrialListener trial_listener_;
  bool compared_ = false;  // with the graph

  // The state.
  bool has_values_ = false;
  int64_t batches_ = 0;  // that are finished, of all epochs
  int64_t done_ = 0;     // coordinates of the next batch that were looked at
  int64_t changes_ = 0;  // of the sweep that is going on, or has ended last
  bool one_opt_ = false;
  int64_t trials_ = 0, microseconds_ = 0;
  mutable Tensor state_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_COORDINATE_DESCENT_H_
