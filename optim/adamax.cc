#include "bitgrad/optim/adamax.h"

#include <cmath>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "adamax";

class AdaMax final : public Optimizer {
 public:
  AdaMax(ExecContext& context, const AdaMaxOptions& options)
      : Optimizer(context, options.common, {kName, {"m", "v"}, /*glorot_power=*/1}),
        args_{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
              static_cast<float>(options.epsilon)} {}

  static absl::Status Check(const AdaMaxOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckOptions(kName, options.common));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta1", options.beta1));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta2", options.beta2));
    return CheckPositive(kName, "epsilon", options.epsilon);
  }

 private:
  double Rate(double learning_rate, int64_t t) const override {
    return learning_rate / (1.0 - std::pow(static_cast<double>(args_.beta1), t));
  }
  void UpdateTensors(ExecContext& context, const Kernels& kernels, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts) override {
    kernels.adamax_step(context, args_, scalars, tensors, counts);
  }

  const AdamArgs args_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMax(ExecContext& context, const AdaMaxOptions& options) {
  BITGRAD_RETURN_IF_ERROR(AdaMax::Check(options));
  return std::make_unique<AdaMax>(context, options);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMaxFrom(ExecContext& context, const OptimizerOptions& common,
                                                          const Hyperparameters& hyperparameters) {
  AdaMaxOptions options{.common = common};
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(
      kName, hyperparameters, {{"beta1", &options.beta1}, {"beta2", &options.beta2}, {"epsilon", &options.epsilon}}));
  return MakeAdaMax(context, options);
}

}  // namespace bitgrad
