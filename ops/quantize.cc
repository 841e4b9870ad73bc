#include "bitgrad/ops/quantize.h"

#include <memory>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/ops/decode.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// How much a batch's statistic counts for the running one.
constexpr float kRangeMomentum = 0.1f;

class DecodedValue final : public PendingValue {
 public:
  DecodedValue(std::shared_ptr<const CodedTensor> coded, Shape shape)
      : coded_(std::move(coded)), shape_(std::move(shape)) {}
  Tensor Compute(ExecContext& context) const override { return Decode(context, *coded_).Alias(shape_); }

 private:
  const std::shared_ptr<const CodedTensor> coded_;
  const Shape shape_;
};

// Everything that one call quantizes with.
struct Job {
  Quantizer quantizer;
  Shape matrix;
  RngStream rng;
  Tensor statistic, variable, scale;  // null where the quantizer has none

  const float* Data(const Tensor& numbers) const { return numbers.is_null() ? nullptr : numbers.data<float>(); }
  QuantizerOperands operands() const { return {Data(statistic), Data(variable), Data(scale)}; }
  int64_t count() const { return quantizer.granularity() == Granularity::kRow ? matrix.dim(0) : 1; }
  // Whether the gradient goes through the statistic, too.
  bool differentiates_statistic() const {
    return quantizer.scale_operand() == ScaleOperand::kStatistic && quantizer.info().differentiates_statistic;
  }
  // Whether the surrogate is 1 everywhere.
  bool passes() const {
    return quantizer.args().role == QuantizerRole::kWeight && quantizer.info().weight_pass_through;
  }
  bool has_window() const { return quantizer.info().surrogate_is_window && !passes(); }
  // The codes of a binary quantizer that draws no random numbers are the signs of x, whichever quantizer it is.
  bool codes_are_signs() const {
    return quantizer.encoding().kind == EncodingKind::kBinary && !quantizer.info().stochastic;
  }
};

// What the backward pass needs.
struct SavedForBackward {
  Job job;
  Shape shape;
  Tensor x;                                // [rows, cols]; null where window and scale are enough
  std::shared_ptr<const BitMatrix> signs;  // the codes, where they are bits and x is kept
  BitMatrix window;
  int variable_input = -1, scale_input = -1;
};

// ---- Forward ------------------------------------------------------------------------------------------

// The value of a learned number, which becomes an input of the op: that of its parameter. Where that has none yet, it
// begins with what x says; in training the parameter keeps it.
bool ReadNumber(OpRecorder& op, const Job& job, QuantizerNumber which, const char* name, Parameter* parameter,
                Tensor& number) {
  if (parameter == nullptr) {
    op.Fail("quantizer '", job.quantizer.ToString(), "' learns its ", name, "; give it a parameter (layers make one)");
    return false;
  }
  if (!op.CheckTensor(parameter->name, parameter->value, {job.count()})) return false;
  // A copy, because the value may be read after the optimizer has changed the parameter.
  number = parameter->value.Clone(op.context().allocator());
  if (parameter->is_set) return true;
  const Tensor x = op.value(0).Alias(job.matrix);
  op.kernels().quantize_initial_value(op.context(), job.quantizer, which, x.matrix<float>(),
                                      number.mutable_data<float>());
  if (!op.training()) return true;
  op.kernels().copy_matrix(op.context(), number.matrix<float>(), parameter->value.mutable_matrix<float>());
  parameter->is_set = true;
  return true;
}

// The statistic that x is quantized with: x's own, or in evaluation the running one of activations.
bool MeasureStatistic(OpRecorder& op, const QuantizeOptions& options, Job& job) {
  if (job.quantizer.statistic() == Statistic::kNone) return true;
  Parameter* const range = options.range;
  if (range != nullptr && !op.CheckTensor(range->name, range->value, {job.count()})) return false;
  if (range != nullptr && !op.training() && range->is_set) {
    job.statistic = range->value.Alias();
    return true;
  }
  job.statistic = op.NewTensor({job.count()});
  const Tensor x = op.value(0).Alias(job.matrix);
  op.kernels().quantize_statistic(op.context(), job.quantizer, x.matrix<float>(), job.statistic.mutable_data<float>());
  if (range == nullptr || !op.training()) return true;
  op.kernels().track_statistic(op.context(), range->is_set ? kRangeMomentum : 1.0f, job.statistic.data<float>(),
                               job.count(), range->value.mutable_data<float>());
  range->is_set = true;
  return true;
}

// Whether `known`, which was made of the same x, is what the job would make: by the same quantizer, with the same
// learned numbers, as the same matrix.
bool IsResult(const Tape& tape, const Var& known, const Job& job, const QuantizeOptions& options) {
  const Tape::Node& node = tape.nodes()[known.index()];
  if (node.descriptor.Get<Quantizer>("quantizer", Quantizer()) != job.quantizer) return false;
  if (node.coded->matrix != job.matrix) return false;
  size_t input = 1;
  const auto is_next = [&](const Parameter* number) {
    return input < node.inputs.size() && tape.nodes()[node.inputs[input++]].parameter == number;
  };
  return (!job.quantizer.has_variable() || is_next(options.variable)) &&
         (!job.quantizer.has_learned_scale() || is_next(options.scale));
}

// The bits of x's signs, from the parameter that has them from the last step, from batch norm before it is computed, or
// from x.
std::shared_ptr<const BitMatrix> Bits(OpRecorder& op, int32_t x, const Job& job, BitMatrix& window) {
  ExecContext& context = op.context();
  const int64_t rows = job.matrix.rows(), cols = job.matrix.cols();
  const BitMatrixView window_view = window.is_null() ? BitMatrixView{} : window.mutable_view();
  const PendingValue* const pending = op.pending(0);
  Parameter* const parameter = op.tape().nodes()[x].parameter;
  const bool reusable = parameter != nullptr && job.codes_are_signs() && window.is_null();
  if (reusable) {
    if (std::shared_ptr<const BitMatrix> signs = parameter->signs(); signs != nullptr) {
      if (signs->rows() == rows && signs->cols() == cols) return signs;
    }
  }
  const bool stays = reusable && op.wants(0);
  // Signs that stay with a parameter may outlive the context.
  auto bits = std::make_shared<BitMatrix>(rows, cols, stays ? context.lasting_allocator() : context.allocator());
  if (pending != nullptr && pending->has_signs() && job.codes_are_signs() &&
      (window.is_null() || job.quantizer.info().surrogate_is_window)) {
    pending->Signs(context, bits->mutable_view(), window_view);
  } else {
    const Tensor matrix = op.value(0).Alias(job.matrix);
    op.kernels().quantize_bits(context, job.quantizer, matrix.matrix<float>(), job.operands(), job.rng,
                               bits->mutable_view(), window_view);
  }
  if (stays) parameter->set_signs(bits);
  return bits;
}

std::shared_ptr<const CodedTensor> Code(OpRecorder& op, int32_t x, const Job& job, BitMatrix& window) {
  ExecContext& context = op.context();
  const Kernels& kernels = op.kernels();
  auto coded = std::make_shared<CodedTensor>();
  coded->encoding = job.quantizer.encoding();
  coded->matrix = job.matrix;
  if (job.quantizer.scale_is_constant()) {
    coded->factor = job.quantizer.scale(1.0f);
  } else {
    coded->scale = op.NewTensor({job.count()});
    kernels.quantize_scale(context, job.quantizer, job.operands(), job.count(), coded->scale.mutable_data<float>());
  }
  if (coded->encoding.kind == EncodingKind::kBinary) {
    coded->bits = Bits(op, x, job, window);
    return coded;
  }
  const Tensor values = op.value(0).Alias(job.matrix);
  Tensor codes(job.matrix, DType::kFloat32, context.allocator());
  kernels.quantize_codes(context, job.quantizer, values.matrix<float>(), job.operands(), job.rng,
                         codes.mutable_matrix<float>());
  coded->codes = Tensor(job.matrix, DType::kUint8, context.allocator());
  kernels.pack_codes(context, coded->encoding, codes.matrix<float>(), coded->codes.mutable_matrix<uint8_t>());
  if (!window.is_null()) {
    BitMatrix signs(job.matrix.rows(), job.matrix.cols(), context.allocator());
    kernels.pack_signs(context, values.matrix<float>(), signs.mutable_view(), window.mutable_view());
  }
  return coded;
}

// The statistic, where there is one, and of each element the quotient by the scale that is rounded; signs are
// comparisons.
ArithmeticCounts CountQuantizer(const Job& job) {
  const int64_t elements = job.matrix.num_elements();
  ArithmeticCounts counts;
  if (job.quantizer.statistic() == Statistic::kMeanAbs) counts.float_additions = elements;
  if (job.quantizer.encoding().kind != EncodingKind::kBinary) counts.float_multiplications = elements;
  return counts;
}

// ---- Backward -----------------------------------------------------------------------------------------

// The gradients of what a quantizer learns; null where not wanted.
struct NumberGradients {
  Tensor variable, scale;

  bool empty() const { return variable.is_null() && scale.is_null(); }
  static float* Data(Tensor& gradient) { return gradient.is_null() ? nullptr : gradient.mutable_data<float>(); }
  QuantizerGradients pointers() { return {Data(variable), Data(scale)}; }
};

// dx of dq, in place where nobody else holds dq, or null where nobody wants it; and in the same pass the gradients of
// the numbers.
Tensor InputGradient(Tape::GradientSink& sink, const SavedForBackward& saved, Tensor dq, NumberGradients& numbers) {
  ExecContext& context = sink.context();
  const Job& job = saved.job;
  if (numbers.empty() && job.passes() && !job.quantizer.scales_gradient()) return dq;
  Tensor dx;
  if (sink.wants(0)) {
    // A window only keeps or drops; a surrogate that is no window is a factor, and so is the scale.
    if (!job.passes() && !job.quantizer.info().surrogate_is_window) {
      sink.Count({.float_multiplications = dq.num_elements()});
    }
    if (job.quantizer.scales_gradient()) sink.Count({.float_multiplications = dq.num_elements()});
    dx = dq.is_unique() ? dq.Alias() : NewTensor(sink, dq.shape());
  }
  const ConstBitMatrixView signs = saved.signs == nullptr ? ConstBitMatrixView{} : saved.signs->view();
  const auto backward = [&](bool pass_through, const ConstMatrixView<float>& x, const Tensor& gradient) {
    KernelsOf(sink).quantize_backward(
        context, job.quantizer, pass_through, x, signs, job.operands(), job.rng, gradient.matrix<float>(),
        dx.is_null() ? MatrixView<float>() : dx.mutable_matrix<float>(), numbers.pointers());
  };
  if (!saved.window.is_null() && numbers.empty()) {
    KernelsOf(sink).mask_by_bits(context, saved.window.view(), dq.matrix<float>(), dx.mutable_matrix<float>());
    // The window has done the surrogate's part; what is left is the scale.
    if (job.quantizer.scales_gradient()) backward(/*pass_through=*/true, dx.matrix<float>(), dx);
    return dx;
  }
  // The scale alone does not read x.
  backward(job.passes(), saved.x.is_null() ? dq.matrix<float>() : saved.x.matrix<float>(), dq);
  return dx;
}

void Backward(const SavedForBackward& saved, Tape::GradientSink& sink) {
  const Job& job = saved.job;
  // The matrix shares the gradient's bytes, and is unique where that was.
  Tensor dq = sink.TakeOutputGradient();
  dq = dq.Alias(job.matrix);
  const bool through_statistic = sink.wants(0) && job.differentiates_statistic();
  NumberGradients numbers;
  const auto want = [&](Tensor& gradient) {
    sink.Count({.float_multiplications = dq.num_elements(), .float_additions = dq.num_elements()});
    gradient = NewTensor(sink, {job.count()});
  };
  if (saved.variable_input >= 0 && sink.wants(saved.variable_input)) want(numbers.variable);
  if (through_statistic || (saved.scale_input >= 0 && sink.wants(saved.scale_input))) want(numbers.scale);
  if (!sink.wants(0) && numbers.empty()) return;
  Tensor dx = InputGradient(sink, saved, std::move(dq), numbers);
  if (through_statistic) {
    KernelsOf(sink).quantize_statistic_backward(sink.context(), job.quantizer, saved.x.matrix<float>(),
                                                numbers.scale.data<float>(), dx.mutable_matrix<float>());
  }
  if (sink.wants(0)) sink.Add(0, dx.Alias(saved.shape));
  if (!numbers.variable.is_null()) sink.Add(saved.variable_input, std::move(numbers.variable));
  if (saved.scale_input >= 0 && !numbers.scale.is_null()) sink.Add(saved.scale_input, std::move(numbers.scale));
}

}  // namespace

Var Quantize(const Var& x, const Quantizer& quantizer, const QuantizeOptions& options) {
  Tape* const tape = x.tape();
  OpRecorder check("quantize", {x});
  if (!check.ok()) return check.Failed();
  if (const absl::Status status = quantizer.CheckRole(); !status.ok()) return check.Fail(status.message());
  if (quantizer.args().glorot_scale) {
    return check.Fail("quantizer '", quantizer.ToString(), "' needs the fans of a layer: Quantizer::ForFans()");
  }
  Job job{.quantizer = tape->training() ? quantizer : quantizer.AtEvaluation()};
  job.rng = tape->NextRandomStream(RngPurpose::kQuantizer);
  if (job.quantizer.is_identity()) return x;
  const Shape shape = x.shape();
  if (shape.rank() < 1) return check.Fail("a number cannot be quantized; give it a dimension");
  const bool by_example = shape.rank() == 4 && options.rows == QuantizedRows::kByRank;
  const int64_t rows = by_example ? shape.dim(0) : shape.rows();
  job.matrix = Shape({rows, rows == 0 ? shape.cols() : shape.num_elements() / rows});
  // A parameter is quantized once.
  const bool is_leaf = tape->nodes()[x.index()].parameter != nullptr;
  if (is_leaf) {
    for (const Var& known : tape->Results(x)) {
      if (IsResult(*tape, known, job, options)) return known;
    }
  }
  // The numbers are inputs of the op, after they got their first values.
  absl::InlinedVector<Var, 3> inputs = {x};
  const auto shared = std::make_shared<SavedForBackward>();
  const auto add_number = [&](QuantizerNumber which, const char* name, Parameter* parameter, Tensor& number,
                              int& input) {
    if (!ReadNumber(check, job, which, name, parameter, number)) return false;
    input = static_cast<int>(inputs.size());
    inputs.push_back(tape->Use(*parameter));
    return true;
  };
  if (job.quantizer.has_variable() && !add_number(QuantizerNumber::kVariable, job.quantizer.variable().name,
                                                  options.variable, job.variable, shared->variable_input)) {
    return check.Failed();
  }
  if (job.quantizer.has_learned_scale() &&
      !add_number(QuantizerNumber::kScale, "scale", options.scale, job.scale, shared->scale_input)) {
    return check.Failed();
  }
  // So is the running statistic where it replaces the batch's: what evaluation quantizes with is on the tape.
  if (!tape->training() && job.quantizer.statistic() != Statistic::kNone && options.range != nullptr &&
      options.range->is_set) {
    inputs.push_back(tape->Use(*options.range));
  }
  OpRecorder op("quantize", inputs);
  if (!op.ok() || !MeasureStatistic(op, options, job)) return op.Failed();

  const bool learns_numbers = inputs.size() > 1 || job.differentiates_statistic();
  const bool wants = op.wants(0) || (op.training() && inputs.size() > 1);
  const bool is_coded = job.quantizer.encoding().is_integer();
  SavedForBackward& saved = *shared;
  saved.shape = shape;
  if (op.wants(0) && job.has_window() && is_coded) {
    saved.window = BitMatrix(rows, job.matrix.cols(), op.context().allocator());
  }
  // Before the codes are made: a value that is pending is then computed once.
  if (wants && (learns_numbers || (saved.window.is_null() && !job.passes()))) {
    saved.x = op.value(0).Alias(job.matrix);
  }
  Tape::NodeValue value;
  if (is_coded) {
    value.coded = Code(op, x.index(), job, saved.window);
    if (!saved.x.is_null()) saved.signs = value.coded->bits;
    value.pending = std::make_shared<DecodedValue>(value.coded, shape);
  } else {
    value.value = op.NewTensor(shape);
    const Tensor matrix = op.value(0).Alias(job.matrix);
    Tensor y = value.value.Alias(job.matrix);
    op.kernels().quantize_values(op.context(), job.quantizer, matrix.matrix<float>(), job.operands(), job.rng,
                                 y.mutable_matrix<float>());
  }
  if (!saved.window.is_null()) {
    op.kernels().count_ones(op.context(), saved.window.view(), op.tape().Counter("window", job.matrix.num_elements()));
  }
  op.tape().Count(CountQuantizer(job));
  saved.job = std::move(job);
  const Quantizer recorded = saved.job.quantizer;
  const Var result = op.Record(shape, std::move(value), {{"quantizer", recorded}},
                               [shared](Tape::GradientSink& sink) { Backward(*shared, sink); });
  if (is_leaf && is_coded && result.shape() == shape) tape->KeepResult(x, result);
  return result;
}

}  // namespace bitgrad
