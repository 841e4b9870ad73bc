#include "bitgrad/optim/bop.h"

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "bop";

class Bop final : public UpdateRule {
 public:
  explicit Bop(double threshold)
      : UpdateRule({.name = kName,
                    .slots = {"m"},
                    .most_learning_rate = 1,
                    .binary_weights_only = true,
                    .arithmetic = {.float_multiplications = 4, .float_additions = 2}}),
        threshold_(static_cast<float>(threshold)) {}

 private:
  double Rate(double learning_rate, int64_t /*t*/) const override { return learning_rate; }
  void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) const override {
    kernels.bop_step(context, threshold_, numbers, scalars, tensors, counts);
  }

  const float threshold_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeBopRule(const Hyperparameters& hyperparameters) {
  double threshold = 1e-8;
  BITGRAD_RETURN_IF_ERROR(ReadHyperparameters(kName, hyperparameters, {{"threshold", &threshold}}));
  BITGRAD_RETURN_IF_ERROR(CheckNotNegative(kName, "threshold", threshold));
  return std::make_unique<Bop>(threshold);
}

}  // namespace bitgrad
