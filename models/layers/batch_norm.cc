#include "bitgrad/models/layers/batch_norm.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/batch_norm_estimation.h"

namespace bitgrad {

BatchNorm::BatchNorm(const Scope& scope, const BatchNormLayerOptions& options)
    : path_(scope.path()),
      options_(options.norm),
      store_(scope.store()),
      gamma_(scope.NewParameter("gamma", {options.features}, Initializer::Constant(1))),
      beta_(scope.NewParameter("beta", {options.features}, Initializer::Constant(0))),
      running_mean_(scope.NewParameter("running_mean", {options.features}, Initializer::Constant(0))),
      running_statistic_(scope.NewParameter("running_statistic", {options.features}, Initializer::Constant(1))) {
  running_mean_.trainable = false;
  running_statistic_.trainable = false;
  if (options.features <= 0) {
    scope.ReportError(absl::StrCat("batch_norm: features = ", options.features, " has to be positive"));
  }
}

Var BatchNorm::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  if (!tape->training() && store_.norm_estimation() != 0) {
    if (estimation_ != store_.norm_estimation()) {
      estimation_ = store_.norm_estimation();
      estimated_batches_ = 0;
    }
    return ApplyBatchNormEstimating(x, tape->Use(gamma_), tape->Use(beta_), running_mean_, running_statistic_,
                                    ++estimated_batches_, options_);
  }
  return ApplyBatchNorm(x, tape->Use(gamma_), tape->Use(beta_), running_mean_, running_statistic_, options_);
}

}  // namespace bitgrad
