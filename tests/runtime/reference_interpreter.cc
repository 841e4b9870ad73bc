#include "bitgrad/tests/runtime/reference_interpreter.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bitgrad/ops/kernels/batch_norm.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {
namespace {

using packed::Instruction;

float CodeOfValue(const Quantizer& quantizer, float x) {
  float code = 0;
  DispatchQuantizer(quantizer.info(), [&]<typename Q>() { code = Q::Code(x, quantizer.args(), 0.0f, 0.0f); });
  return code;
}

double WeightAt(const PackedModel& model, int blob, int64_t i, int64_t j) {
  const packed::Blob& descriptor = model.blob(blob);
  if (descriptor.kind() == packed::Blob::FLOAT32) {
    return model.floats(blob)[i * descriptor.shape(1) + j];
  }
  int c = 0;
  for (int p = 0; p < PlaneCount(descriptor); ++p) c |= model.plane(blob, p).bit(i, j) << p;
  switch (descriptor.kind()) {
    case packed::Blob::BINARY: return c ? 1 : -1;
    case packed::Blob::TERNARY: return c - 1;
    case packed::Blob::SYMMETRIC: return 2 * c - ((1 << descriptor.bits()) - 1);
    default: return c;
  }
}

float UnaryOf(const packed::Unary& unary, float x) {
  switch (unary.op()) {
    case packed::Unary::RELU: return x > 0 ? x : 0;
    case packed::Unary::LEAKY_RELU: return x > 0 ? x : unary.parameter() * x;
    case packed::Unary::HARDTANH: return x < -1 ? -1 : x > 1 ? 1 : x;
    case packed::Unary::SIGMOID: return static_cast<float>(1 / (1 + std::exp(-double{x})));
    default: return static_cast<float>(std::tanh(double{x}));
  }
}

struct Value {
  std::vector<float> x;
  double error = 0;  // a bound for each element
};

Value Linear(const PackedModel& model, int i, const Value& operand) {
  const packed::Linear& linear = model.header().instructions(i).linear();
  const int64_t out = model.blob(linear.weight()).shape(0);
  const int64_t in = model.blob(linear.weight()).shape(1);
  const Quantizer& quantizer = model.quantizer(i);
  const bool exact = DotIsExact(quantizer.encoding(), EncodingOf(model.blob(linear.weight())), in);
  Value y;
  for (size_t row = 0; row < operand.x.size() / in; ++row) {
    for (int64_t o = 0; o < out; ++o) {
      double sum = 0;
      double magnitude = 0;
      for (int64_t k = 0; k < in; ++k) {
        const double product =
            double{CodeOfValue(quantizer, operand.x[row * in + k])} * WeightAt(model, linear.weight(), o, k);
        sum += product;
        magnitude += std::fabs(product);
      }
      if (linear.has_threshold()) {
        const bool bit = (sum >= model.ints(linear.threshold().thresholds())[o]) !=
                         model.plane(linear.threshold().flips(), 0).bit(0, o);
        y.x.push_back(bit ? 1.0f : -1.0f);
        continue;
      }
      y.x.push_back(static_cast<float>(sum) * linear.scale());
      if (!exact) {
        // k roundings of the sum, each of at most eps times the sum of magnitudes.
        const double eps = std::numeric_limits<float>::epsilon();
        y.error = std::max(y.error, (static_cast<double>(in) + 2) * eps * magnitude * std::fabs(linear.scale()));
      }
    }
  }
  return y;
}

Value Elementwise(const PackedModel& model, int i, const std::vector<Value>& values) {
  const Instruction& instruction = model.header().instructions(i);
  const Value& a = values[instruction.operands(0)];
  const int64_t cols = model.value(instruction.operands(0)).example.cols();
  Value y = a;
  switch (instruction.kind_case()) {
    case Instruction::kBatchNorm: {
      const packed::BatchNorm& b = instruction.batch_norm();
      for (size_t e = 0; e < a.x.size(); ++e) {
        const size_t j = e % cols;
        y.x[e] = NormalizedValue(a.x[e], model.floats(b.mean())[j], model.floats(b.inv_std())[j],
                                 model.floats(b.gamma())[j], model.floats(b.beta())[j]);
      }
      break;
    }
    case Instruction::kUnary:
      for (float& x : y.x) x = UnaryOf(instruction.unary(), x);
      // The kernels' tanh and sigmoid are within a few units in the last place.
      y.error += 1e-6;
      break;
    case Instruction::kBinary: {
      const packed::Binary& binary = instruction.binary();
      for (size_t e = 0; e < a.x.size(); ++e) {
        const float b =
            binary.has_constant() ? model.floats(binary.constant())[e] : values[instruction.operands(1)].x[e];
        float& x = y.x[e];
        x = binary.op() == packed::Binary::ADD ? x + b : binary.op() == packed::Binary::SUB ? x - b : x * b;
      }
      break;
    }
    case Instruction::kQuantize: {
      const Quantizer& quantizer = model.quantizer(i);
      for (float& x : y.x) x = CodeOfValue(quantizer, x) * quantizer.scale(0);
      break;
    }
    case Instruction::kConcat: {
      y.x.clear();
      const int64_t rows = static_cast<int64_t>(a.x.size()) / cols;
      for (int64_t row = 0; row < rows; ++row) {
        for (const int operand : instruction.operands()) {
          const std::vector<float>& x = values[operand].x;
          const size_t width = x.size() / rows;
          y.x.insert(y.x.end(), x.begin() + row * width, x.begin() + (row + 1) * width);
        }
      }
      break;
    }
    default: break;
  }
  return y;
}

}  // namespace

ReferenceResult RunReference(const PackedModel& model, absl::Span<const float> example) {
  std::vector<Value> values = {{.x = {example.begin(), example.end()}}};
  for (int i = 0; i < model.header().instructions_size(); ++i) {
    const Instruction& instruction = model.header().instructions(i);
    values.push_back(instruction.has_linear() ? Linear(model, i, values[instruction.operands(0)])
                                              : Elementwise(model, i, values));
  }
  const Value& last = values.back();
  return {last.x, std::vector<double>(last.x.size(), last.error)};
}

}  // namespace bitgrad
