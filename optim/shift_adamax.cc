#include "bitgrad/optim/shift_adamax.h"

#include <cmath>
#include <utility>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

namespace bitgrad {
namespace {

class ShiftAdaMax final : public UpdateRule {
 public:
  ShiftAdaMax(Traits traits, const AdamArgs& args, bool keeps_divisor)
      : UpdateRule(std::move(traits)), args_(args), keeps_divisor_(keeps_divisor) {}

 private:
  double Rate(double learning_rate, int64_t t) const override {
    return NearestPower(static_cast<float>(learning_rate / (1.0 - std::pow(static_cast<double>(args_.beta1), t))));
  }
  void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) const override {
    kernels.shift_adamax_step(context, args_, keeps_divisor_, numbers, scalars, tensors, counts);
  }

  const AdamArgs args_;
  const bool keeps_divisor_;
};

absl::StatusOr<std::unique_ptr<UpdateRule>> Make(const UpdateRule::Traits& traits, double beta1, double beta2,
                                                 bool keeps_divisor, const Hyperparameters& hyperparameters) {
  double epsilon = 0x1p-27;
  BITGRAD_RETURN_IF_ERROR(
      ReadHyperparameters(traits.name, hyperparameters, {{"beta1", &beta1}, {"beta2", &beta2}, {"epsilon", &epsilon}}));
  BITGRAD_RETURN_IF_ERROR(CheckFraction(traits.name, "beta1", beta1));
  BITGRAD_RETURN_IF_ERROR(CheckFraction(traits.name, "beta2", beta2));
  BITGRAD_RETURN_IF_ERROR(CheckPositive(traits.name, "epsilon", epsilon));
  const AdamArgs args = {static_cast<float>(beta1), static_cast<float>(beta2), static_cast<float>(epsilon)};
  return std::make_unique<ShiftAdaMax>(traits, args, keeps_divisor);
}

}  // namespace

// The gradient's scale and the decay are products. With the paper's betas, x - 2^-k x is a shift and an addition.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeShiftAdaMaxRule(const Hyperparameters& hyperparameters) {
  return Make({.name = "shift_adamax",
               .slots = {"m", "v"},
               .glorot_power = 1,
               .rounds_glorot = true,
               .arithmetic = {.float_multiplications = 2, .float_additions = 6, .shifts = 6}},
              1 - 0x1p-3, 1 - 0x1p-10, /*keeps_divisor=*/false, hyperparameters);
}

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeShiftAdaMaxTorchRule(const Hyperparameters& hyperparameters) {
  return Make({.name = "shift_adamax_torch",
               .slots = {"m", "v"},
               .glorot_power = 1,
               .arithmetic = {.float_multiplications = 6, .float_additions = 4, .shifts = 2}},
              0.9, 0.999, /*keeps_divisor=*/true, hyperparameters);
}

}  // namespace bitgrad
