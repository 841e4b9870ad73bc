#include "bitgrad/optim/adam.h"

#include <cmath>
#include <utility>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "adam";

class Adam final : public UpdateRule {
 public:
  explicit Adam(const AdamOptions& options)
      : UpdateRule({.name = kName,
                    .slots = {"m", "v"},
                    .glorot_power = 1,
                    .arithmetic = {.float_multiplications = 10, .float_additions = 5, .square_roots = 1}}),
        args_{static_cast<float>(options.beta1), static_cast<float>(options.beta2),
              static_cast<float>(options.epsilon)} {}

  static absl::StatusOr<std::unique_ptr<UpdateRule>> Make(const AdamOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta1", options.beta1));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta2", options.beta2));
    BITGRAD_RETURN_IF_ERROR(CheckPositive(kName, "epsilon", options.epsilon));
    return std::make_unique<Adam>(options);
  }

 private:
  double Rate(double learning_rate, int64_t t) const override {
    const double correction1 = 1.0 - std::pow(static_cast<double>(args_.beta1), t);
    const double correction2 = 1.0 - std::pow(static_cast<double>(args_.beta2), t);
    return learning_rate * std::sqrt(correction2) / correction1;
  }
  void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) const override {
    kernels.adam_step(context, args_, numbers, scalars, tensors, counts);
  }

  const AdamArgs args_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdam(ExecContext& context, const AdamOptions& options) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<UpdateRule> rule, Adam::Make(options));
  return Optimizer::Create(context, options.common, std::move(rule));
}

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeAdamRule(const Hyperparameters& hyperparameters) {
  AdamOptions options;
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(
      kName, hyperparameters, {{"beta1", &options.beta1}, {"beta2", &options.beta2}, {"epsilon", &options.epsilon}}));
  return Adam::Make(options);
}

}  // namespace bitgrad
