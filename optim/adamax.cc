#include "bitgrad/optim/adamax.h"

#include <cmath>
#include <utility>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "adamax";

class AdaMax final : public UpdateRule {
 public:
  explicit AdaMax(const AdaMaxOptions& options)
      : UpdateRule({.name = kName,
                    .slots = {"m", "v"},
                    .glorot_power = 1,
                    .arithmetic = {.float_multiplications = 8, .float_additions = 4}}),
        args_{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
              static_cast<float>(options.epsilon)} {}

  static absl::StatusOr<std::unique_ptr<UpdateRule>> Make(const AdaMaxOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta1", options.beta1));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta2", options.beta2));
    BITGRAD_RETURN_IF_ERROR(CheckPositive(kName, "epsilon", options.epsilon));
    return std::make_unique<AdaMax>(options);
  }

 private:
  double Rate(double learning_rate, int64_t t) const override {
    return learning_rate / (1.0 - std::pow(static_cast<double>(args_.beta1), t));
  }
  void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) const override {
    kernels.adamax_step(context, args_, numbers, scalars, tensors, counts);
  }

  const AdamArgs args_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMax(ExecContext& context, const AdaMaxOptions& options) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<UpdateRule> rule, AdaMax::Make(options));
  return Optimizer::Create(context, options.common, std::move(rule));
}

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeAdaMaxRule(const Hyperparameters& hyperparameters) {
  AdaMaxOptions options;
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(
      kName, hyperparameters, {{"beta1", &options.beta1}, {"beta2", &options.beta2}, {"epsilon", &options.epsilon}}));
  return AdaMax::Make(options);
}

}  // namespace bitgrad
