#include "bitgrad/optim/sgd.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr char kName[] = "sgd";

// Whether there is a momentum once it is rounded to float.
bool HasMomentum(const SgdOptions& options) { return static_cast<float>(options.momentum) != 0; }

class Sgd final : public Optimizer {
 public:
  Sgd(ExecContext& context, const SgdOptions& options)
      : Optimizer(context, options.common,
                  {kName, HasMomentum(options) ? std::vector<const char*>{"velocity"} : std::vector<const char*>{},
                   /*glorot_power=*/2}),
        momentum_(static_cast<float>(options.momentum)),
        nesterov_(options.nesterov) {}

  static absl::Status Check(const SgdOptions& options) {
    BITGRAD_RETURN_IF_ERROR(CheckOptions(kName, options.common));
    BITGRAD_RETURN_IF_ERROR(CheckFraction(kName, "momentum", options.momentum));
    if (options.nesterov && !HasMomentum(options)) {
      return absl::InvalidArgumentError("optimizer 'sgd': nesterov needs a momentum above 0");
    }
    return absl::OkStatus();
  }

 private:
  double Rate(double learning_rate, int64_t /*t*/) const override { return learning_rate; }
  void UpdateTensors(ExecContext& context, const Kernels& kernels, const StepScalars* scalars,
                     absl::Span<const StepTensor> tensors, StepCounts* counts) override {
    kernels.sgd_step(context, momentum_, nesterov_, scalars, tensors, counts);
  }

  const float momentum_;
  const bool nesterov_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Optimizer>> MakeSgd(ExecContext& context, const SgdOptions& options) {
  BITGRAD_RETURN_IF_ERROR(Sgd::Check(options));
  return std::make_unique<Sgd>(context, options);
}

absl::StatusOr<std::unique_ptr<Optimizer>> MakeSgdFrom(ExecContext& context, const OptimizerOptions& common,
                                                       const Hyperparameters& hyperparameters) {
  SgdOptions options{.common = common};
  double nesterov = 0;
  BITGRAD_RETURN_IF_ERROR(
      ReadHyperparameters(kName, hyperparameters, {{"momentum", &options.momentum}, {"nesterov", &nesterov}}));
  if (nesterov != 0 && nesterov != 1) {
    return absl::InvalidArgumentError(absl::StrCat("optimizer 'sgd': nesterov is ", nesterov, ", must be 0 or 1"));
  }
  options.nesterov = nesterov == 1;
  return MakeSgd(context, options);
}

}  // namespace bitgrad
