// The learning-rate finder: trains for some hundred batches with a learning rate that grows from batch to batch, and
// reads off the losses which rates are of use (Smith, arXiv 1506.01186, section 3.3, "LR range test").
//
// Of N batches, batch k = 0 .. N-1 has the rate
//
//   r_k = least (greatest / least)^(k / (N - 1))
//
// and the loss L_k before its update. Single losses are noisy, so what is looked at is a running median, which lags
// behind nothing and leaves a steady fall or rise as it is:
//
//   S_k = median of L_i, |i - k| <= w         w = N / 40
//
// Let m be the batch with the least S, and F = S_0 - S_m how far it falls.
//
//   learning begins   at the first rate from which up to r_m S is below S_0 by a tenth of F
//   steepest descent  up to r_m, where S_(k + 2w) - S_(k - 2w) is least
//   it diverges       at the first rate behind r_m at which S is above S_m by a tenth of F, or of which the loss is not
//                     finite
//
// What is suggested is the middle of the rates at which the net learns, sqrt(begins r_m), but no more than a tenth of
// the rate at which it diverges. The steepest descent alone misleads where a net learns at every rate, because then it
// is where most is left to learn: mnist_float_mlp learns with rates from 7e-6 to 0.4, steepest at 3e-5, and its recipe
// has 1e-3. The search ends where the loss is not finite, and where S is above 2 S_0.
//
// It is a rate to begin with, for a schedule that falls from there, and no more exact than a factor of a few. What is
// too large for the end of a training does not show in its first batches. Where weights are clipped (binary nets) the
// loss rises late, because no weight can run away.

#ifndef BITGRAD_MODELS_TRAINING_LEARNING_RATE_FINDER_H_
#define BITGRAD_MODELS_TRAINING_LEARNING_RATE_FINDER_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"
#include "bitgrad/core/device.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct LearningRateRange {
  double least = 1e-6, greatest = 10;
  int64_t batches = 300;

  // InvalidArgument, with the values, unless 0 < least < greatest < infinity and batches >= 40.
  absl::Status Check() const;
};

struct LearningRateCurve {
  struct Point {
    double rate = 0;
    double loss = 0;
    double smoothed = 0;
  };
  std::vector<Point> points;  // of the batches before the loss was not finite, or the search ended
  // Rates.
  double begins = 0, steepest = 0;
  double lowest = 0;                // r_m
  absl::optional<double> diverges;  // nothing: it did not, up to the greatest rate
  double suggested = 0;
};

// Reads the curve off the losses of batches; `rates` may have one rate more, of which the loss was not finite.
// FailedPrecondition where there are too few losses, or S_m is not 5 % below S_0.
absl::StatusOr<LearningRateCurve> ReadLearningRates(absl::Span<const double> rates, absl::Span<const double> losses,
                                                    int64_t batches);

// Trains on the loader's batches, in order, epoch after epoch. Afterwards the parameters' values, their gradients
// and the context's random step are what they were before; the optimizer is used up. Numbers with schedules have their
// values of the beginning. Errors are those of the steps, of the batches and of ReadLearningRates(). REQUIRES:
// range.Check() is ok; the parameters are on the context's device.
absl::StatusOr<LearningRateCurve> FindLearningRate(ExecContext& context, Model& model, ParameterStore& store,
                                                   const Task& task, const BatchLoader& loader,
                                                   std::unique_ptr<Optimizer> optimizer,
                                                   const LearningRateRange& range = {});

struct LearningRateFinderOptions {
  LearningRateRange range;
  std::string data_dir;
  Device device = Device::kCpu;
  int threads = 0;  // 0: all
  int data_workers = 1;
  std::FILE* log = stdout;
};

// The same for a recipe's first phase, from its initial weights. It writes nothing but what it says of the data.
// InvalidArgument, naming the recipe, where it is trained without gradients.
absl::StatusOr<LearningRateCurve> FindLearningRate(const recipe::Recipe& recipe,
                                                   const LearningRateFinderOptions& options);

// The curve as people read it, at most `most` lines of it, with bars, and marks at the rates that were found.
std::string LearningRateTable(const LearningRateCurve& curve, int64_t most = 30);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_LEARNING_RATE_FINDER_H_
