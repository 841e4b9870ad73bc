#include "bitgrad/optim/sgd.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "sgd";

// Whether there is a momentum once it is rounded to float.
bool HasMomentum(const SgdOptions& options) { return static_cast<float>(options.momentum) != 0; }

// Gradient, decay and the new weight; rate g'; with a momentum also its product and sum, which Nesterov's has twice.
ArithmeticCounts Arithmetic(const SgdOptions& options) {
  const int64_t momentum = !HasMomentum(options) ? 0 : options.nesterov ? 2 : 1;
  return {.float_multiplications = 4 + momentum, .float_additions = 2 + momentum};
}

class Sgd final : public UpdateRule {
 public:
  explicit Sgd(const SgdOptions& options)
      : UpdateRule({.name = kName,
                    .slots = HasMomentum(options) ? std::vector<const char*>{"velocity"} : std::vector<const char*>{},
                    .glorot_power = 2,
                    .momentum = options.momentum,
                    .rounds = !options.nesterov,
                    .updates_rows = !HasMomentum(options),
                    .arithmetic = Arithmetic(options)}),
        nesterov_(options.nesterov) {}

  static absl::StatusOr<std::unique_ptr<UpdateRule>> Make(const SgdOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "momentum", options.momentum));
    if (options.nesterov && !HasMomentum(options)) {
      return absl::InvalidArgumentError("optimizer 'sgd': nesterov needs a momentum above 0");
    }
    return std::make_unique<Sgd>(options);
  }

 private:
  double Rate(double learning_rate, int64_t /*t*/) const override { return learning_rate; }
  void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) const override {
    kernels.sgd_step(context, nesterov_, numbers, scalars, tensors, counts);
  }
  void UpdateRows(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers, const StepScalars* scalars,
                  const int32_t* rows, ConstMatrixView<float> gradient, float weight_scale, MatrixView<float> w,
                  StepCounts* counts) const override {
    kernels.sgd_rows_step(context, numbers, scalars, rows, gradient, weight_scale, w, counts);
  }

  const bool nesterov_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeSgd(ExecContext& context, const SgdOptions& options) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<UpdateRule> rule, Sgd::Make(options));
  return Optimizer::Create(context, options.common, std::move(rule));
}

absl::StatusOr<std::unique_ptr<UpdateRule>> MakeSgdRule(const Hyperparameters& hyperparameters) {
  SgdOptions options;
  double nesterov = 0;
  BITGRAD_RETURN_IF_ERROR(
      ReadHyperparameters(kName, hyperparameters, {{"momentum", &options.momentum}, {"nesterov", &nesterov}}));
  if (nesterov != 0 && nesterov != 1) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer 'sgd': nesterov is ", nesterov, ", must be 0 or 1"));
  }
  options.nesterov = nesterov == 1;
  return Sgd::Make(options);
}

}  // namespace bitgrad
