#include "bitgrad/tests/runtime/reference_interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/kernels/batch_norm.h"
#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/runtime/packed_quantizer.h"
#include "bitgrad/tests/reference/coded_gemm.h"
#include "bitgrad/tests/reference/number_format.h"

namespace bitgrad {
namespace {

using packed::Instruction;

float CodeOfValue(const PackedQuantizer& packed, float x) {
  const Quantizer& quantizer = packed.quantizer;
  float code = 0;
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() {
    code = Q::Code(x, quantizer.args(), {packed.statistic.value_or(0.0f), packed.variable.value_or(0.0f)}, 0.0f);
  });
  return code;
}

// The number that a stored code stands for; nothing for a kind of codes that is not known.
std::optional<int64_t> CodeOfStored(packed::Blob::Kind kind, int bits, int c) {
  switch (kind) {
    case packed::Blob::BINARY: return c ? 1 : -1;
    case packed::Blob::TERNARY: return c - 1;
    case packed::Blob::SYMMETRIC: return 2 * c - ((1 << bits) - 1);
    case packed::Blob::UNSIGNED: return c;
    case packed::Blob::TWOS_COMPLEMENT: return c - (1 << (bits - 1));
    case packed::Blob::LOG: return reference::Code({EncodingKind::kLog, bits}, c);
    case packed::Blob::LOG_NONZERO: return reference::Code({EncodingKind::kLogNonzero, bits}, c);
    default: return std::nullopt;
  }
}

// What the reference does not know.
absl::Status Unknown(const PackedModel& model, int i, absl::string_view what) {
  return absl::UnimplementedError(
      absl::StrCat("reference: instruction ", i, " ('", model.header().instructions(i).layer(), "'): ", what));
}

// The elements of a weight blob, row by row; nothing for a kind of blob that is not known.
std::optional<std::vector<double>> Weights(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  std::vector<double> weights;
  for (int64_t i = 0; i < descriptor.shape(0); ++i) {
    for (int64_t j = 0; j < descriptor.shape(1); ++j) {
      if (descriptor.kind() == packed::Blob::FLOAT32) {
        weights.push_back(model.floats(blob)[i * descriptor.shape(1) + j]);
        continue;
      }
      int c = 0;
      for (int p = 0; p < PlaneCount(descriptor); ++p) c |= model.plane(blob, p).bit(i, j) << p;
      const std::optional<int64_t> code = CodeOfStored(descriptor.kind(), descriptor.bits(), c);
      if (!code.has_value()) return std::nullopt;
      weights.push_back(static_cast<double>(*code));
    }
  }
  return weights;
}

struct Value {
  std::vector<float> x;  // floats, or codes
  double error = 0;      // a bound for each element
  // Of codes: value = code * scale.
  bool is_codes = false;
  float scale = 1;
  int64_t least = 0, largest = 0;  // code

  Value Floats() const {
    Value y = {.x = x, .error = error};
    for (float& value : y.x) value *= is_codes ? scale : 1.0f;
    return y;
  }
};

// The codes that a threshold makes, without any.
Value NewCodes(const PackedModel& model, const packed::Threshold& threshold) {
  const int levels = static_cast<int>(model.blob(threshold.thresholds()).shape(0));
  return {.is_codes = true,
          .scale = threshold.scale(),
          .least = *CodeOfStored(threshold.encoding(), threshold.bits(), 0),
          .largest = *CodeOfStored(threshold.encoding(), threshold.bits(), levels)};
}

// The code that a threshold makes of a sum of output `o`.
float CodeOfSum(const PackedModel& model, const packed::Threshold& threshold, int64_t o, double sum) {
  const packed::Blob& blob = model.blob(threshold.thresholds());
  const int levels = static_cast<int>(blob.shape(0));
  int c = 0;
  for (int l = 0; l < levels; ++l) c += sum >= model.ints(threshold.thresholds())[l * blob.shape(1) + o];
  if (model.plane(threshold.flips(), 0).bit(0, o)) c = levels - c;
  return static_cast<float>(*CodeOfStored(threshold.encoding(), threshold.bits(), c));
}

// A linear or conv2d instruction: what turns terms into outputs.
class Product {
 public:
  template <typename Instruction>  // packed::Linear or packed::Conv2d
  Product(const PackedModel& model, int i, const Instruction& instruction, const Value& x, std::vector<double> weights)
      : model_(model),
        x_(x),
        weights_(std::move(weights)),
        terms_(model.blob(instruction.weight()).shape(1)),
        exact_(DotIsExact(model.value(model.header().instructions(i).operands(0)).encoding,
                          EncodingOf(model.blob(instruction.weight())), terms_)),
        scale_(instruction.scale()),
        scales_(instruction.has_scales() ? model.floats(instruction.scales()) : absl::Span<const float>()),
        threshold_(instruction.has_threshold() ? &instruction.threshold() : nullptr) {}

  int64_t terms() const { return terms_; }
  // What stands outside of an image, as a code; `value` is 0, 1 or -1.
  double Border(double value) const { return x_.is_codes ? std::round(value / double{x_.scale}) : value; }
  // The value of outputs, without any.
  Value NewValue() const { return threshold_ == nullptr ? Value() : NewCodes(model_, *threshold_); }

  // Appends output `o` of these terms.
  void Append(int64_t o, const std::vector<double>& terms, Value& y) const {
    double sum = 0, magnitude = 0;
    for (int64_t k = 0; k < terms_; ++k) {
      const double product = terms[k] * weights_[o * terms_ + k];
      sum += product;
      magnitude += std::fabs(product);
    }
    if (threshold_ != nullptr) {
      y.x.push_back(CodeOfSum(model_, *threshold_, o, sum));
      return;
    }
    const float scale = scales_.empty() ? scale_ : scale_ * scales_[o];
    y.x.push_back(static_cast<float>(sum) * scale);
    if (exact_) return;
    // k roundings of the sum, each of at most eps times the sum of magnitudes.
    const double eps = std::numeric_limits<float>::epsilon();
    y.error = std::max(y.error, (static_cast<double>(terms_) + 2) * eps * magnitude * std::fabs(scale));
  }

 private:
  const PackedModel& model_;
  const Value& x_;
  const std::vector<double> weights_;
  const int64_t terms_;
  const bool exact_;
  const float scale_;
  const absl::Span<const float> scales_;
  const packed::Threshold* const threshold_;
};

absl::StatusOr<Value> Linear(const PackedModel& model, int i, const Value& operand) {
  const packed::Linear& linear = model.header().instructions(i).linear();
  auto weights = Weights(model, linear.weight());
  if (!weights.has_value()) return Unknown(model, i, "weights of an unknown kind");
  const Product product(model, i, linear, operand, *std::move(weights));
  const int64_t in = product.terms();
  Value y = product.NewValue();
  std::vector<double> terms(in);
  for (size_t row = 0; row < operand.x.size() / in; ++row) {
    for (int64_t k = 0; k < in; ++k) terms[k] = operand.x[row * in + k];
    for (int64_t o = 0; o < model.blob(linear.weight()).shape(0); ++o) product.Append(o, terms, y);
  }
  return y;
}

absl::StatusOr<Value> TapConv2d(const PackedModel& model, int i, const Value& operand) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::TapConv2d& conv = instruction.tap_conv2d();
  const auto weights = Weights(model, conv.weight()), taps = Weights(model, conv.taps());
  if (!weights.has_value() || !taps.has_value()) return Unknown(model, i, "weights of an unknown kind");
  const Shape &image = model.value(instruction.operands(0)).example, &result = model.value(i + 1).example;
  const int64_t height = image.dim(0), width = image.dim(1), channels = image.dim(2);
  Value y;
  for (int64_t p = 0; p < result.dim(0); ++p) {
    for (int64_t q = 0; q < result.dim(1); ++q) {
      for (int64_t o = 0; o < conv.filters(); ++o) {
        double sum = 0, magnitude = 0;
        for (int64_t c = 0; c < channels; ++c) {
          const auto tap = static_cast<int64_t>((*taps)[o * channels + c]);
          if (tap >= conv.kernel_height() * conv.kernel_width()) continue;
          const int64_t h = p * conv.stride_height() + tap / conv.kernel_width() - conv.pad_height();
          const int64_t w = q * conv.stride_width() + tap % conv.kernel_width() - conv.pad_width();
          if (h < 0 || h >= height || w < 0 || w >= width) continue;
          const double product = (*weights)[o * channels + c] * operand.x[(h * width + w) * channels + c];
          sum += product;
          magnitude += std::fabs(product);
        }
        const float scale = conv.has_scales() ? conv.scale() * model.floats(conv.scales())[o] : conv.scale();
        y.x.push_back(static_cast<float>(sum) * scale);
        const bool exact = operand.is_codes && EncodingOf(model.blob(conv.weight())).is_integer();
        if (exact) continue;
        const double eps = std::numeric_limits<float>::epsilon();
        y.error = std::max(y.error, (static_cast<double>(channels) + 2) * eps * magnitude * std::fabs(scale));
      }
    }
  }
  return y;
}

absl::StatusOr<Value> Conv2d(const PackedModel& model, int i, const Value& operand) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Conv2d& conv = instruction.conv2d();
  auto weights = Weights(model, conv.weight());
  if (!weights.has_value()) return Unknown(model, i, "weights of an unknown kind");
  const Product product(model, i, conv, operand, *std::move(weights));
  double border;
  switch (conv.padding()) {
    case packed::Conv2d::ZERO: border = 0; break;
    case packed::Conv2d::PLUS_ONE: border = product.Border(1); break;
    case packed::Conv2d::MINUS_ONE: border = product.Border(-1); break;
    default: return Unknown(model, i, "an unknown border");
  }
  const Shape& image = model.value(instruction.operands(0)).example;
  const int64_t height = image.dim(0), width = image.dim(1), channels = image.dim(2);
  const int64_t filters = model.blob(conv.weight()).shape(0), groups = conv.groups();
  const int64_t out_height =
      (height + 2 * conv.pad_height() - conv.dilation_height() * (conv.kernel_height() - 1) - 1) /
          conv.stride_height() +
      1;
  const int64_t out_width =
      (width + 2 * conv.pad_width() - conv.dilation_width() * (conv.kernel_width() - 1) - 1) / conv.stride_width() + 1;
  Value y = product.NewValue();
  for (int64_t p = 0; p < out_height; ++p) {
    for (int64_t q = 0; q < out_width; ++q) {
      for (int64_t o = 0; o < filters; ++o) {
        const int64_t first_channel = o / (filters / groups) * (channels / groups);
        std::vector<double> terms;
        for (int64_t r = 0; r < conv.kernel_height(); ++r) {
          for (int64_t s = 0; s < conv.kernel_width(); ++s) {
            const int64_t h = p * conv.stride_height() + r * conv.dilation_height() - conv.pad_height();
            const int64_t w = q * conv.stride_width() + s * conv.dilation_width() - conv.pad_width();
            const bool inside = h >= 0 && h < height && w >= 0 && w < width;
            for (int64_t c = first_channel; c < first_channel + channels / groups; ++c) {
              terms.push_back(inside ? operand.x[(h * width + w) * channels + c] : border);
            }
          }
        }
        product.Append(o, terms, y);
      }
    }
  }
  return y;
}

// Max pooling, of floats or of codes, and average pooling.
Value Pool(const PackedModel& model, int i, const Value& given) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const bool is_max = instruction.has_max_pool();
  const packed::Pool& pool = is_max ? instruction.max_pool() : instruction.average_pool();
  const Shape& image = model.value(instruction.operands(0)).example;
  const int64_t height = image.dim(0), width = image.dim(1), channels = image.dim(2);
  const int64_t out_height = (height + 2 * pool.pad_height() - pool.kernel_height()) / pool.stride_height() + 1;
  const int64_t out_width = (width + 2 * pool.pad_width() - pool.kernel_width()) / pool.stride_width() + 1;
  // The largest of codes are codes; the mean of codes is a float, unless thresholds compare the sum.
  const bool sums_codes = !is_max && given.is_codes;
  const Value& operand = given;
  Value y = operand;
  y.x.clear();
  if (sums_codes) y.is_codes = false;
  if (pool.has_threshold()) y = NewCodes(model, pool.threshold());
  for (int64_t p = 0; p < out_height; ++p) {
    for (int64_t q = 0; q < out_width; ++q) {
      for (int64_t c = 0; c < channels; ++c) {
        float largest = -std::numeric_limits<float>::infinity(), sum = 0;
        int count = 0;
        for (int64_t r = 0; r < pool.kernel_height(); ++r) {
          for (int64_t s = 0; s < pool.kernel_width(); ++s) {
            const int64_t h = p * pool.stride_height() + r - pool.pad_height();
            const int64_t w = q * pool.stride_width() + s - pool.pad_width();
            if (h < 0 || h >= height || w < 0 || w >= width) continue;
            const float x = operand.x[(h * width + w) * channels + c];
            largest = std::max(largest, x);
            sum += x;
            ++count;
          }
        }
        if (pool.has_flips() && model.plane(pool.flips(), 0).bit(0, c)) {
          largest = static_cast<float>(operand.least + operand.largest) - largest;
        }
        const float number = static_cast<float>(count);
        y.x.push_back(is_max                 ? largest
                      : pool.has_threshold() ? CodeOfSum(model, pool.threshold(), c, double{sum})
                      : sums_codes           ? sum * (operand.scale / number)
                                             : sum * (1.0f / number));
      }
    }
  }
  return y;
}

absl::StatusOr<Value> Round(const PackedModel& model, int i, const Value& operand) {
  const absl::StatusOr<NumberFormat> format = ParseNumberFormat(model.header().instructions(i).round().format());
  if (!format.ok()) return Unknown(model, i, "an unknown number format");
  Value y = operand.Floats();
  for (float& x : y.x) x = reference::RoundToFormat(*format, x);
  return y;
}

absl::StatusOr<Value> Spline(const PackedModel& model, int i, const Value& operand) {
  const packed::Spline& spline = model.header().instructions(i).spline();
  const packed::Blob& blob = model.blob(spline.coefficients());
  const int64_t channels = blob.shape(0), knots = blob.shape(1), middle = knots / 2;
  const float inverse_step = static_cast<float>(middle) / spline.range();
  Value y = operand.Floats();
  for (size_t e = 0; e < y.x.size(); ++e) {
    const float* const c = model.floats(spline.coefficients()).data() + static_cast<int64_t>(e) % channels * knots;
    const float place = y.x[e] * inverse_step + static_cast<float>(middle);
    const int64_t interval = std::clamp<int64_t>(static_cast<int64_t>(std::floor(place)), 0, knots - 2);
    y.x[e] = c[interval] + (place - static_cast<float>(interval)) * (c[interval + 1] - c[interval]);
  }
  return y;
}

absl::StatusOr<Value> Unary(const PackedModel& model, int i, const Value& operand) {
  const packed::Unary& unary = model.header().instructions(i).unary();
  Value y = operand.Floats();
  for (float& x : y.x) {
    switch (unary.op()) {
      case packed::Unary::RELU: x = x > 0 ? x : 0; break;
      case packed::Unary::LEAKY_RELU: x = x > 0 ? x : unary.parameter() * x; break;
      case packed::Unary::HARDTANH: x = x < -1 ? -1 : x > 1 ? 1 : x; break;
      case packed::Unary::SIGMOID: x = static_cast<float>(1 / (1 + std::exp(-double{x}))); break;
      case packed::Unary::TANH: x = static_cast<float>(std::tanh(double{x})); break;
      default: return Unknown(model, i, "an unknown unary op");
    }
  }
  // The kernels' tanh and sigmoid are within a few units in the last place.
  y.error += 1e-6;
  return y;
}

absl::StatusOr<Value> Binary(const PackedModel& model, int i, const Value& a, const std::vector<Value>& values) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Binary& binary = instruction.binary();
  // A constant of the last dimension is the same for every position.
  const Value second = binary.has_constant() ? Value() : values[instruction.operands(1)].Floats();
  const absl::Span<const float> b =
      binary.has_constant() ? model.floats(binary.constant()) : absl::MakeConstSpan(second.x);
  Value y = a.Floats();
  y.error += second.error;
  for (size_t e = 0; e < y.x.size(); ++e) {
    float& x = y.x[e];
    switch (binary.op()) {
      case packed::Binary::ADD: x += b[e % b.size()]; break;
      case packed::Binary::SUB: x -= b[e % b.size()]; break;
      case packed::Binary::MUL: x *= b[e % b.size()]; break;
      default: return Unknown(model, i, "an unknown binary op");
    }
  }
  return y;
}

Value BatchNorm(const PackedModel& model, int i, const Value& a) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::BatchNorm& norm = instruction.batch_norm();
  const int64_t cols = model.value(instruction.operands(0)).example.cols();
  Value y = a.Floats();
  for (size_t e = 0; e < y.x.size(); ++e) {
    const size_t j = e % cols;
    y.x[e] = NormalizedValue(y.x[e], model.floats(norm.mean())[j], model.floats(norm.inv_std())[j],
                             model.floats(norm.gamma())[j], model.floats(norm.beta())[j]);
  }
  return y;
}

Value Concat(const PackedModel& model, int i, const std::vector<Value>& values) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const int first = instruction.operands(0);
  const int64_t rows = static_cast<int64_t>(values[first].x.size()) / model.value(first).example.cols();
  Value y;
  for (int64_t row = 0; row < rows; ++row) {
    for (const int operand : instruction.operands()) {
      const std::vector<float> x = values[operand].Floats().x;
      const size_t width = x.size() / rows;
      y.x.insert(y.x.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
      y.error = std::max(y.error, values[operand].error);
    }
  }
  return y;
}

Value Quantize(const PackedModel& model, int i, const Value& operand) {
  const PackedQuantizer& quantizer = model.quantizer(i);
  Value y = operand.Floats();
  for (float& x : y.x) x = CodeOfValue(quantizer, x);
  const Encoding encoding = quantizer.encoding();
  if (!encoding.is_integer()) {
    for (float& x : y.x) x *= quantizer.value_scale();
    return y;
  }
  y.is_codes = true;
  y.scale = quantizer.value_scale();
  y.least = encoding.code(0);
  y.largest = encoding.code(encoding.largest_stored());
  return y;
}

// The row of a table. Bit by bit: element j of row i is element i * width + j where the table is one row.
absl::StatusOr<Value> Embedding(const PackedModel& model, int i, const Value& token) {
  const packed::Embedding& embedding = model.header().instructions(i).embedding();
  const packed::Blob& table = model.blob(embedding.table());
  const int64_t row = static_cast<int64_t>(token.x[0]), width = embedding.width();
  Value y;
  if (table.kind() != packed::Blob::FLOAT32) {
    y.is_codes = true;
    y.scale = embedding.scale();
  }
  for (int64_t j = 0; j < width; ++j) {
    if (!y.is_codes) {
      y.x.push_back(model.floats(embedding.table())[row * width + j]);
      continue;
    }
    const bool is_flat = table.shape(1) != width;
    int c = 0;
    for (int p = 0; p < PlaneCount(table); ++p) {
      const ConstBitMatrixView plane = model.plane(embedding.table(), p);
      c |= (is_flat ? plane.bit(0, row * width + j) : plane.bit(row, j)) << p;
    }
    const std::optional<int64_t> code = CodeOfStored(table.kind(), table.bits(), c);
    if (!code.has_value()) return Unknown(model, i, "a table of an unknown kind");
    y.x.push_back(static_cast<float>(*code));
  }
  return y;
}

Value SliceColumns(const PackedModel& model, int i, const Value& operand) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const size_t cols = static_cast<size_t>(model.value(instruction.operands(0)).example.cols());
  const Value x = operand.Floats();
  Value y = {.error = x.error};
  for (size_t row = 0; row < x.x.size(); row += cols) {
    const auto begin = x.x.begin() + static_cast<int64_t>(row) + instruction.slice_columns().begin();
    y.x.insert(y.x.end(), begin, begin + instruction.slice_columns().size());
  }
  return y;
}

absl::StatusOr<Value> Run(const PackedModel& model, int i, const std::vector<Value>& values,
                          const std::vector<std::vector<float>>& states) {
  const packed::Instruction& instruction = model.header().instructions(i);
  if (instruction.has_state()) return Value{.x = states[instruction.state().slot()]};
  const Value& a = values[instruction.operands(0)];
  switch (instruction.kind_case()) {
    case Instruction::kLinear: return Linear(model, i, a);
    case Instruction::kConv2D: return Conv2d(model, i, a);
    case Instruction::kTapConv2D: return TapConv2d(model, i, a);
    case Instruction::kMaxPool:
    case Instruction::kAveragePool: return Pool(model, i, a);
    case Instruction::kBatchNorm: return BatchNorm(model, i, a);
    case Instruction::kUnary: return Unary(model, i, a);
    case Instruction::kRound: return Round(model, i, a);
    case Instruction::kSpline: return Spline(model, i, a);
    case Instruction::kBinary: return Binary(model, i, a, values);
    case Instruction::kConcat: return Concat(model, i, values);
    case Instruction::kReshape: return a;
    case Instruction::kQuantize: return Quantize(model, i, a);
    case Instruction::kEmbedding: return Embedding(model, i, a);
    case Instruction::kSliceColumns: return SliceColumns(model, i, a);
    // Of fixed-point codes, which tests/export/simulate_shifts.h computes.
    case Instruction::kShiftAdd:
    case Instruction::kShiftConcat:
    case Instruction::kFixedPoint:
    case Instruction::kState:
    case Instruction::KIND_NOT_SET: break;
  }
  return Unknown(model, i, "an unknown kind of instruction");
}

// States at the beginning.
std::vector<std::vector<float>> Zeros(const PackedModel& model) {
  std::vector<std::vector<float>> states;
  for (const packed::StateSlot& slot : model.header().states()) {
    states.emplace_back(static_cast<size_t>(slot.width()), 0.0f);
  }
  return states;
}

// `next`: where what the states become goes.
absl::StatusOr<ReferenceResult> RunProgram(const PackedModel& model, absl::Span<const float> example,
                                           const std::vector<std::vector<float>>& states,
                                           std::vector<std::vector<float>>* next) {
  std::vector<Value> values = {{.x = {example.begin(), example.end()}}};
  for (int i = 0; i < model.header().instructions_size(); ++i) {
    BITGRAD_ASSIGN_OR_RETURN(Value value, Run(model, i, values, states));
    values.push_back(std::move(value));
  }
  for (const packed::StateSlot& slot : model.header().states()) next->push_back(values[slot.next()].Floats().x);
  const Value last = values.back().Floats();
  return ReferenceResult{last.x, std::vector<double>(last.x.size(), last.error)};
}

}  // namespace

absl::StatusOr<ReferenceResult> RunReference(const PackedModel& model, absl::Span<const float> example) {
  const size_t steps = static_cast<size_t>(std::max<int64_t>(1, model.time_steps())), size = example.size() / steps;
  std::vector<std::vector<float>> states = Zeros(model);
  absl::StatusOr<ReferenceResult> result;
  for (size_t t = 0; t < steps; ++t) {
    std::vector<std::vector<float>> next;
    result = RunProgram(model, example.subspan(t * size, size), states, &next);
    BITGRAD_RETURN_IF_ERROR(result.status());
    states = std::move(next);
  }
  return result;
}

absl::StatusOr<ReferenceResult> RunReferenceStep(const PackedModel& model, int token,
                                                 std::vector<std::vector<float>>& states) {
  if (states.empty()) states = Zeros(model);
  std::vector<std::vector<float>> next;
  BITGRAD_ASSIGN_OR_RETURN(const ReferenceResult result, RunProgram(model, {static_cast<float>(token)}, states, &next));
  states = std::move(next);
  return result;
}

}  // namespace bitgrad
