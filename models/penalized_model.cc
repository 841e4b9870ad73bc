#include "bitgrad/models/penalized_model.h"

#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/penalties.h"
#include "bitgrad/models/recipe_fields.h"
#include "bitgrad/ops/arithmetic.h"

namespace bitgrad {
namespace {

BitCost MeasureOf(recipe::BitCost::Measure measure) {
  switch (measure) {
    case recipe::BitCost::FOOTPRINT: return BitCost::kFootprint;
    case recipe::BitCost::OPERATIONS: return BitCost::kOperations;
    default: return BitCost::kAverage;
  }
}

class PenalizedModel final : public Model {
 public:
  explicit PenalizedModel(std::unique_ptr<Model> network) : network_(std::move(network)) {}

  void AddScalePenalty(ScalePenaltyKind kind, Parameter& lambda) {
    scale_penalty_ = kind;
    lambda_ = &lambda;
  }
  void AddBitCost(BitCost cost, Parameter& gamma) {
    bit_cost_ = cost;
    gamma_ = &gamma;
  }

  void AddSplinePenalty(SplinePenaltyKind kind, Parameter& weight) {
    spline_penalty_ = kind;
    spline_weight_ = &weight;
  }

  Var Forward(const Var& x) override { return network_->Forward(x); }

  Var Penalty(Tape& tape) override {
    Var sum;
    const auto add = [&](const Var& term, Parameter& factor) {
      const Var scaled = Mul(term, tape.Use(factor));
      sum = sum.tape() == nullptr ? scaled : Add(sum, scaled);
    };
    if (lambda_ != nullptr) add(SumOfScalePenalties(tape, scale_penalty_), *lambda_);
    if (spline_weight_ != nullptr) add(SumOfSplinePenalties(tape, spline_penalty_), *spline_weight_);
    if (gamma_ != nullptr && !hardened_) add(CostOfBits(tape, bit_cost_), *gamma_);
    return sum;
  }

  absl::Status Harden(ExecContext& context) override {
    hardened_ = true;
    return network_->Harden(context);
  }
  int64_t time_steps() const override { return network_->time_steps(); }
  bool AnswerAsFrozen(bool frozen) override { return network_->AnswerAsFrozen(frozen); }
  std::string Description() override { return network_->Description(); }
  std::vector<ModelValue> Report(ExecContext& context) override { return network_->Report(context); }

 private:
  const std::unique_ptr<Model> network_;
  ScalePenaltyKind scale_penalty_ = ScalePenaltyKind::kR1;
  SplinePenaltyKind spline_penalty_ = SplinePenaltyKind::kTv2;
  BitCost bit_cost_ = BitCost::kAverage;
  Parameter* lambda_ = nullptr;  // null: there is no such penalty
  Parameter* gamma_ = nullptr;
  Parameter* spline_weight_ = nullptr;
  bool hardened_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> WithPenalties(const recipe::Model& recipe, const Scope& scope,
                                                     std::unique_ptr<Model> network) {
  if (!recipe.has_scale_penalty() && !recipe.has_bit_cost() && !recipe.has_spline_penalty()) return network;
  auto model = std::make_unique<PenalizedModel>(std::move(network));
  const Scope penalty = scope / "penalty";
  if (recipe.has_scale_penalty()) {
    ScalarSchedule lambda;
    BITGRAD_RETURN_IF_ERROR(ReadScalar("model.scale_penalty.lambda", recipe.scale_penalty().lambda(), lambda));
    const bool is_r2 = recipe.scale_penalty().kind() == recipe::ScalePenalty::R2;
    model->AddScalePenalty(is_r2 ? ScalePenaltyKind::kR2 : ScalePenaltyKind::kR1, penalty.NewScalar("lambda", lambda));
  }
  if (recipe.has_bit_cost()) {
    ScalarSchedule gamma;
    BITGRAD_RETURN_IF_ERROR(ReadScalar("model.bit_cost.gamma", recipe.bit_cost().gamma(), gamma));
    model->AddBitCost(MeasureOf(recipe.bit_cost().measure()), penalty.NewScalar("gamma", gamma));
  }
  if (recipe.has_spline_penalty()) {
    ScalarSchedule weight;
    BITGRAD_RETURN_IF_ERROR(ReadScalar("model.spline_penalty.weight", recipe.spline_penalty().weight(), weight));
    const bool is_bv2 = recipe.spline_penalty().kind() == recipe::SplinePenalty::BV2;
    model->AddSplinePenalty(is_bv2 ? SplinePenaltyKind::kBv2 : SplinePenaltyKind::kTv2,
                            penalty.NewScalar("spline_weight", weight));
  }
  return model;
}

}  // namespace bitgrad
