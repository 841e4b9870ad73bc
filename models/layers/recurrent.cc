#include "bitgrad/models/layers/recurrent.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/stack.h"

namespace bitgrad {
namespace {

int64_t GatesOf(RecurrentCell cell) {
  switch (cell) {
    case RecurrentCell::kLstm: return 4;
    case RecurrentCell::kGru: return 3;
    default: return 1;
  }
}

// In the order of the weights' rows.
enum LstmGate : int64_t { kInputGate, kForgetGate, kCellGate, kOutputGate };
enum GruGate : int64_t { kResetGate, kUpdateGate, kNewGate };

// Whether the quantizer's scale is measured on the weights or learned from them, so that they may have any size.
bool ScaleFollows(const Quantizer& quantizer) {
  return !quantizer.info().clips_latent || quantizer.scale_operand() == ScaleOperand::kStatistic;
}

Initializer WeightInitializer(const RecurrentOptions& options, const Quantizer& quantizer) {
  if (options.initial_range.has_value()) return Initializer::Uniform(*options.initial_range);
  if (!quantizer.is_identity() && quantizer.status().ok() && !ScaleFollows(quantizer.In(QuantizerRole::kWeight))) {
    return Initializer::Uniform(options.clip);
  }
  return Initializer::Uniform(static_cast<float>(1 / std::sqrt(static_cast<double>(options.hidden))));
}

// The forget gate's part begins with forget_bias.
Initializer BiasInitializer(const RecurrentOptions& options) {
  const Initializer zero = Initializer::Constant(0);
  if (options.cell != RecurrentCell::kLstm || options.hidden <= 0) return zero;
  return zero.WithPart(kForgetGate * options.hidden, (kForgetGate + 1) * options.hidden, options.forget_bias);
}

Shape WeightShape(const RecurrentOptions& options, int64_t in) { return {GatesOf(options.cell) * options.hidden, in}; }

// Of the fans of one gate, whose sums are what has to have the right size.
LayerQuantizer WeightQuantizer(const Scope& scope, const RecurrentOptions& options, const Quantizer& quantizer,
                               int64_t in) {
  return LayerQuantizer(scope, quantizer.ForFans(in, options.hidden), QuantizerRole::kWeight,
                        GatesOf(options.cell) * options.hidden);
}

}  // namespace

Recurrent::Recurrent(const Scope& scope, const RecurrentOptions& options)
    : path_(scope.path()),
      options_(options),
      quantize_input_(scope / "input", options.input, QuantizerRole::kActivation, /*rows=*/1),
      quantize_state_(scope / "hidden", options.state, QuantizerRole::kActivation, /*rows=*/1),
      quantize_input_weight_(WeightQuantizer(scope / "input_weight", options, options.input_weight, options.in)),
      quantize_hidden_weight_(WeightQuantizer(scope / "hidden_weight", options, options.hidden_weight, options.hidden)),
      quantize_gate_(scope / "gate", options.gate, QuantizerRole::kActivation, /*rows=*/1),
      input_weight_(scope.NewParameter("input_weight", WeightShape(options, options.in),
                                       WeightInitializer(options, options.input_weight))),
      hidden_weight_(scope.NewParameter("hidden_weight", WeightShape(options, options.hidden),
                                        WeightInitializer(options, options.hidden_weight))),
      bias_(scope.NewParameter(options.cell == RecurrentCell::kGru ? "input_bias" : "bias",
                               {GatesOf(options.cell) * options.hidden}, BiasInitializer(options))) {
  if (options.cell == RecurrentCell::kGru) {
    hidden_bias_ =
        &scope.NewParameter("hidden_bias", {GatesOf(options.cell) * options.hidden}, Initializer::Constant(0));
  }
  CheckOptions(scope);
  quantize_input_weight_.SetUpWeight(input_weight_, options.in, options.hidden, options.clip);
  quantize_hidden_weight_.SetUpWeight(hidden_weight_, options.hidden, options.hidden, options.clip);
}

void Recurrent::CheckOptions(const Scope& scope) const {
  const bool has_gates = GatesOf(options_.cell) > 1;
  if (options_.in <= 0 || options_.hidden <= 0) {
    scope.ReportError(
        absl::StrCat("recurrent: in = ", options_.in, " and hidden = ", options_.hidden, " have to be positive"));
  }
  if (!(options_.clip > 0)) {
    scope.ReportError(absl::StrCat("recurrent: clip = ", options_.clip, " has to be positive"));
  }
  if (options_.initial_range.has_value() && !(*options_.initial_range > 0 && std::isfinite(*options_.initial_range))) {
    scope.ReportError(
        absl::StrCat("recurrent: initial_range = ", *options_.initial_range, " has to be positive and finite"));
  }
  if (!(options_.input_keep > 0 && options_.input_keep <= 1)) {
    scope.ReportError(absl::StrCat("recurrent: input_keep = ", options_.input_keep, " is not in (0, 1]"));
  }
  if (!has_gates && !options_.gate.is_identity()) {
    scope.ReportError(absl::StrCat("recurrent: a plain RNN has no gates that the quantizer '", options_.gate.ToString(),
                                   "' could quantize; leave it out"));
  }
  if (options_.cell != RecurrentCell::kLstm && options_.forget_bias != 0) {
    scope.ReportError("recurrent: only an LSTM has a forget gate; leave forget_bias out");
  }
  if (!std::isfinite(options_.forget_bias)) {
    scope.ReportError(absl::StrCat("recurrent: forget_bias = ", options_.forget_bias, " has to be finite"));
  }
}

void Recurrent::VisitQuantizers(const QuantizerVisitor& visit) {
  visit(quantize_input_);
  visit(quantize_input_weight_);
  visit(quantize_state_);
  visit(quantize_hidden_weight_);
  if (GatesOf(options_.cell) > 1) visit(quantize_gate_);
}

Var Recurrent::InitialState(Tape& tape, const char* name, int64_t streams, bool is_carried) const {
  const Shape shape = {streams, options_.hidden};
  if (is_carried) return tape.State(absl::StrCat(path_, "/", name), shape);
  return tape.Input(Tensor::Zeros(shape, DType::kFloat32, tape.context().allocator()));
}

Var Recurrent::Gate(const Var& sums, int64_t index, int64_t count) const {
  return SliceColumns(sums, index * options_.hidden, count * options_.hidden);
}

Var Recurrent::LstmCellState(const Var& gates, const State& before) const {
  const Var forget = quantize_gate_(Sigmoid(Gate(gates, kForgetGate)));
  const Var input = quantize_gate_(Sigmoid(Gate(gates, kInputGate)));
  const Var cell = quantize_gate_(Tanh(Gate(gates, kCellGate)));
  return Add(Mul(forget, before.c), Mul(input, cell));
}

Var Recurrent::GruState(const Var& x, const Var& product, const Var& before) const {
  // Reset and update gate lie side by side, so that both are one sum.
  const Var gates = quantize_gate_(Sigmoid(Add(Gate(x, kResetGate, 2), Gate(product, kResetGate, 2))));
  const Var reset = Gate(gates, kResetGate), update = Gate(gates, kUpdateGate);
  const Var fresh = quantize_gate_(Tanh(Add(Gate(x, kNewGate), Mul(reset, Gate(product, kNewGate)))));
  return Add(fresh, Mul(update, Sub(before, fresh)));
}

Recurrent::State Recurrent::StepOf(const Var& x, const State& before, const Var& weight) const {
  const Var product = Linear(quantize_state_(before.h), weight, {.gradient = options_.gradient});
  switch (options_.cell) {
    case RecurrentCell::kLstm: {
      const Var gates = Add(x, product);
      const Var c = LstmCellState(gates, before);
      return {Mul(quantize_gate_(Sigmoid(Gate(gates, kOutputGate))), Tanh(c)), c};
    }
    case RecurrentCell::kGru: return {GruState(x, Add(product, x.tape()->Use(*hidden_bias_)), before.h), Var()};
    case RecurrentCell::kRnnTanh: return {Tanh(Add(x, product)), Var()};
    default: return {Relu(Add(x, product)), Var()};
  }
}

Var Recurrent::operator()(const Var& x) {
  Tape* tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  const int rank = x.shape().rank();
  if ((rank != 2 && rank != 3) || x.shape().dim(rank - 1) != options_.in) {
    tape->ReportError(absl::InvalidArgumentError(absl::StrCat("recurrent: input ", x.shape().ToString(),
                                                              " has to be [steps, streams, ", options_.in,
                                                              "] or, for one step, [streams, ", options_.in, "]")));
    return tape->Failed();
  }
  Var input = quantize_input_(x, QuantizedRows::kLastDimension);
  if (options_.input_keep < 1.0f) input = ApplyDropout(input, options_.input_keep);
  const Var sums = Add(Linear(input, quantize_input_weight_(tape->Use(input_weight_)), {.gradient = options_.gradient}),
                       tape->Use(bias_));
  const Var weight = quantize_hidden_weight_(tape->Use(hidden_weight_));
  const int64_t streams = x.shape().dim(rank - 2);
  const bool has_cell_state = options_.cell == RecurrentCell::kLstm;
  const bool carries_state = options_.carries_state || rank == 2;
  State state = {InitialState(*tape, "h", streams, carries_state),
                 has_cell_state ? InitialState(*tape, "c", streams, carries_state) : Var()};
  std::vector<Var> outputs;
  const int64_t steps = rank == 3 ? x.shape().dim(0) : 1;
  for (int64_t i = 0; i < steps; ++i) {
    state = StepOf(rank == 3 ? Step(sums, i) : sums, state, weight);
    if (rank == 3 && !options_.last_only) outputs.push_back(state.h);
  }
  if (carries_state) {
    tape->SetNextState(absl::StrCat(path_, "/h"), state.h);
    if (has_cell_state) tape->SetNextState(absl::StrCat(path_, "/c"), state.c);
  }
  return outputs.empty() ? state.h : Stack(outputs);
}

}  // namespace bitgrad
