#include "bitgrad/models/spline_model.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/models/lipschitz.h"

namespace bitgrad {
namespace {

class SplineModel final : public Model {
 public:
  SplineModel(int64_t features, std::unique_ptr<Model> network) : features_(features), network_(std::move(network)) {}

  Var Forward(const Var& x) override { return network_->Forward(x); }
  Var Penalty(Tape& tape) override { return network_->Penalty(tape); }
  absl::Status Harden(ExecContext& context) override { return network_->Harden(context); }
  int64_t time_steps() const override { return network_->time_steps(); }
  bool AnswerAsFrozen(bool frozen) override { return network_->AnswerAsFrozen(frozen); }
  std::string Description() override { return network_->Description(); }

  std::vector<ModelValue> Report(ExecContext& context) override {
    std::vector<ModelValue> values = network_->Report(context);
    Tape tape(context, Mode::kEval);
    const Var input = tape.Input(ToDevice(context, Tensor::Zeros({1, features_})));
    const LipschitzBounds bounds(tape, input);
    const Var output = network_->Forward(input);
    const LipschitzBounds::Bounds of_net = bounds.Of(output);
    values.push_back({"", "paper_bound", of_net.paper});
    values.push_back({"", "lipschitz_bound", of_net.operator_norm});
    values.push_back({"", "active_knots", static_cast<double>(bounds.active_knots())});
    return values;
  }

 private:
  const int64_t features_;
  const std::unique_ptr<Model> network_;
};

}  // namespace

std::unique_ptr<Model> WithSplineReport(const ParameterStore& store, int64_t features, std::unique_ptr<Model> network) {
  const bool has_splines = std::any_of(store.parameters().begin(), store.parameters().end(),
                                       [](const Parameter* p) { return p->kind == ParameterKind::kSpline; });
  if (!has_splines || features == 0) return network;
  return std::make_unique<SplineModel>(features, std::move(network));
}

}  // namespace bitgrad
