#include "optim/adamax.h"

#include "core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "adamax";

class AdaMax final : public Optimizer {
 public:
  AdaMax(ExecContext& context, const AdaMaxOptions& options)
      : Optimizer(context, options.common, {kName, {"m", "v"}, /*glorot_power=*/1}),
        beta1_(static_cast<float>(options.beta1)),
        beta2_(static_cast<float>(options.beta2)),
        epsilon_(static_cast<float>(options.epsilon)) {}

  static absl::Status Check(const AdaMaxOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckOptions(kName, options.common));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta1", options.beta1));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "beta2", options.beta2));
    return CheckPositive(kName, "epsilon", options.epsilon);
  }

 private:
  void StepParameter(ExecContext& context, const Kernels& kernels, const StepArgs& args, int64_t t,
                     absl::Span<Tensor> slots, Parameter& parameter, StepCounts* counts) override {
    kernels.adamax_step(context, args, {beta1_, beta2_, epsilon_, t},
                        parameter.gradient.data<float>(), slots[0].mutable_data<float>(),
                        slots[1].mutable_data<float>(), parameter.value.mutable_data<float>(),
                        parameter.value.num_elements(), counts);
  }

  const float beta1_;
  const float beta2_;
  const float epsilon_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMax(ExecContext& context,
                                                      const AdaMaxOptions& options) {
  BITGRAD_RETURN_IF_ERROR(AdaMax::Check(options));
  return std::make_unique<AdaMax>(context, options);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeAdaMaxFrom(ExecContext& context,
                                                          const OptimizerOptions& common,
                                                          const Hyperparameters& hyperparameters) {
  AdaMaxOptions options{.common = common};
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(
      kName, hyperparameters,
      {{"beta1", &options.beta1}, {"beta2", &options.beta2}, {"epsilon", &options.epsilon}}));
  return MakeAdaMax(context, options);
}

}  // namespace bitgrad
