#include "bitgrad/optim/adam.h"

#include <cmath>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "adam";

class Adam final : public Optimizer {
 public:
  Adam(ExecContext& context, const AdamOptions& options)
      : Optimizer(context, options.common, {kName, {"m", "v"}, /*glorot_power=*/1}),
        args_{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
              static_cast<float>(options.epsilon)} {}

  static absl::Status Check(const AdamOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckOptions(kName, options.common));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta1", options.beta1));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta2", options.beta2));
    return CheckPositive(kName, "epsilon", options.epsilon);
  }

 private:
  double Rate(double learning_rate, int64_t t) const override {
    const double correction1 = 1.0 - std::pow(static_cast<double>(args_.beta1), t);
    const double correction2 = 1.0 - std::pow(static_cast<double>(args_.beta2), t);
    return learning_rate * std::sqrt(correction2) / correction1;
  }
  void UpdateTensors(ExecContext& context, const Kernels& kernels, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts) override {
    kernels.adam_step(context, args_, scalars, tensors, counts);
  }

  const AdamArgs args_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdam(ExecContext& context, const AdamOptions& options) {
  BITGRAD_RETURN_IF_ERROR(Adam::Check(options));
  return std::make_unique<Adam>(context, options);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdamFrom(ExecContext& context, const OptimizerOptions& common,
                                                        const Hyperparameters& hyperparameters) {
  AdamOptions options{.common = common};
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(
      kName, hyperparameters, {{"beta1", &options.beta1}, {"beta2", &options.beta2}, {"epsilon", &options.epsilon}}));
  return MakeAdam(context, options);
}

}  // namespace bitgrad
