#include "bitgrad/export/c_code/error_bound.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// 2^-23: what two roundings to nearest may be apart.
constexpr double kEpsilon = std::numeric_limits<float>::epsilon();

// Of the elements of a value, as floats: their size, and how far two computations may be apart.
struct Bound {
  double size = 0, difference = 0;
};

double Largest(absl::Span<const float> values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(double{value}));
  return largest;
}

// The largest sum of |w| of a row.
double LargestRowSum(const PackedModel& model, int blob, int64_t rows) {
  std::vector<double> sizes;
  if (model.blob(blob).kind() == packed::Blob::FLOAT32) {
    for (const float w : model.floats(blob)) sizes.push_back(std::fabs(double{w}));
  } else {
    for (const int64_t code : CodesOf(model, blob)) sizes.push_back(std::fabs(static_cast<double>(code)));
  }
  double largest = 0;
  const size_t cols = sizes.size() / static_cast<size_t>(rows);
  for (size_t i = 0; i < sizes.size(); i += cols) {
    double sum = 0;
    for (size_t j = i; j < i + cols; ++j) sum += sizes[j];
    largest = std::max(largest, sum);
  }
  return largest;
}

// A value of codes that are made of numbers that may be apart.
Bound OfCodes(const PackedValue& y, double difference, bool codes_change) {
  const double size = static_cast<double>(y.encoding.max_code()) * y.scale;
  if (difference == 0 || !codes_change) return {size, 0};
  const double step = y.encoding.is_affine() ? static_cast<double>(y.encoding.code_step()) * y.scale : 2 * size;
  return {size, std::min(2 * size, difference + step)};
}

template <typename Message>
Bound OfProduct(const PackedModel& model, int i, const Message& message, int64_t rows, int64_t terms, bool is_exact,
                bool codes_change, const Bound& x) {
  const PackedValue& operand = model.value(model.header().instructions(i).operands(0));
  const double unit = operand.is_coded() ? double{operand.scale} : 1.0;
  if (model.value(i + 1).is_coded()) return OfCodes(model.value(i + 1), x.difference, codes_change);
  const double sum = LargestRowSum(model, message.weight(), rows);
  double scale = std::fabs(double{message.scale()});
  if (message.has_scales()) scale *= Largest(model.floats(message.scales()));
  const double size = unit > 0 ? x.size / unit : 0, difference = unit > 0 ? x.difference / unit : 0;
  const double border = 1;  // or one of the codes
  Bound y = {std::max(size, border) * sum * scale, difference * sum * scale};
  if (!is_exact) y.difference += (static_cast<double>(terms) + 2) * kEpsilon * y.size;
  return y;
}

class Bounds {
 public:
  Bounds(const PackedModel& model, double largest_input, bool codes_change)
      : model_(model), codes_change_(codes_change) {
    const packed::Input& input = model.header().input();
    double size = largest_input;
    if (input.has_pixels()) {
      const packed::PixelMapping& mapping = input.pixels();
      for (const double p : {0.0, 255.0}) {
        size = std::max(size, std::fabs((mapping.multiplier() * p + mapping.offset()) / mapping.divisor()));
      }
    }
    input_ = {size, 0};
    states_.resize(static_cast<size_t>(model.header().states_size()));
  }

  // One run of the program; the bounds of the states go on.
  Bound Run() {
    std::vector<Bound> values = {input_};
    for (int i = 0; i < model_.header().instructions_size(); ++i) values.push_back(Of(i, values));
    std::vector<Bound> next;
    for (const packed::StateSlot& slot : model_.header().states()) next.push_back(values[slot.next()]);
    states_ = next;
    return values.back();
  }

 private:
  bool IsExact(int i, int blob, int64_t terms, bool is_conv) const {
    const Encoding x = model_.value(model_.header().instructions(i).operands(0)).encoding;
    const Encoding w = EncodingOf(model_.blob(blob));
    if (!x.is_integer() || !w.is_integer()) return false;
    if (!x.is_log() && !w.is_log()) return DotIsExact(x, w, terms);
    return is_conv ? LogSumsOf(x, w, terms) == LogSums::kInt32 : LogSumsOf(x, w, terms) != LogSums::kTooLarge;
  }

  Bound Of(int i, const std::vector<Bound>& values) const {
    const Instruction& instruction = model_.header().instructions(i);
    if (instruction.has_state()) return states_[instruction.state().slot()];
    const Bound& x = values[instruction.operands(0)];
    const PackedValue& y = model_.value(i + 1);
    // An operation on numbers that are apart rounds differently; on equal ones it gives equal ones.
    const auto rounded = [](Bound bound, int operations) {
      if (bound.difference > 0) bound.difference += operations * kEpsilon * bound.size;
      return bound;
    };
    switch (instruction.kind_case()) {
      case Instruction::kLinear: {
        const packed::Linear& linear = instruction.linear();
        if (linear.has_requantize()) return Fixed(i, values);
        const Shape shape = ShapeOf(model_.blob(linear.weight()));
        return OfProduct(model_, i, linear, shape.rows(), shape.cols(),
                         IsExact(i, linear.weight(), shape.cols(), false), codes_change_, x);
      }
      case Instruction::kConv2D: {
        const packed::Conv2d& conv = instruction.conv2d();
        if (conv.has_requantize()) return Fixed(i, values);
        const Shape shape = ShapeOf(model_.blob(conv.weight()));
        return OfProduct(model_, i, conv, shape.rows(), shape.cols(), IsExact(i, conv.weight(), shape.cols(), true),
                         codes_change_, x);
      }
      case Instruction::kTapConv2D: {
        const packed::TapConv2d& conv = instruction.tap_conv2d();
        const int64_t channels = model_.value(instruction.operands(0)).example.dim(2);
        const Encoding e = model_.value(instruction.operands(0)).encoding;
        const Encoding w = EncodingOf(model_.blob(conv.weight()));
        return OfProduct(model_, i, conv, conv.filters(), channels, e.is_integer() && DotIsExact(e, w, channels),
                         codes_change_, x);
      }
      case Instruction::kMaxPool: return x;
      case Instruction::kAveragePool: {
        if (y.is_coded()) return OfCodes(y, x.difference, codes_change_);
        const packed::Pool& pool = instruction.average_pool();
        return rounded(x, pool.kernel_height() * pool.kernel_width() + 1);
      }
      case Instruction::kBatchNorm: {
        const packed::BatchNorm& norm = instruction.batch_norm();
        double factor = 0;
        const auto inv_std = model_.floats(norm.inv_std()), gamma = model_.floats(norm.gamma());
        for (size_t j = 0; j < inv_std.size(); ++j) {
          factor = std::max(factor, std::fabs(double{inv_std[j]} * double{gamma[j]}));
        }
        const double size =
            (x.size + Largest(model_.floats(norm.mean()))) * factor + Largest(model_.floats(norm.beta()));
        return rounded({size, x.difference * factor}, 4);
      }
      case Instruction::kUnary: {
        const packed::Unary& unary = instruction.unary();
        switch (unary.op()) {
          case packed::Unary::LEAKY_RELU: {
            const double slope = std::max(1.0, std::fabs(double{unary.parameter()}));
            return rounded({x.size * slope, x.difference * slope}, 1);
          }
          case packed::Unary::HARDTANH: return {std::min(1.0, x.size), std::min(2.0, x.difference)};
          case packed::Unary::SIGMOID: return rounded({1, std::min(1.0, x.difference / 4)}, 8);
          case packed::Unary::TANH: return rounded({1, std::min(2.0, x.difference)}, 8);
          default: return x;
        }
      }
      case Instruction::kBinary: {
        const packed::Binary& binary = instruction.binary();
        const Bound b = binary.has_constant() ? Bound{Largest(model_.floats(binary.constant())), 0}
                                              : values[instruction.operands(1)];
        if (binary.op() != packed::Binary::MUL) return rounded({x.size + b.size, x.difference + b.difference}, 1);
        return rounded({x.size * b.size, x.difference * b.size + x.size * b.difference + x.difference * b.difference},
                       1);
      }
      case Instruction::kConcat: {
        Bound all;
        for (const int operand : instruction.operands()) {
          all.size = std::max(all.size, values[operand].size);
          all.difference = std::max(all.difference, values[operand].difference);
        }
        return all;
      }
      case Instruction::kQuantize:
        if (y.is_coded()) return OfCodes(y, x.difference, codes_change_);
        // Of float values; the identity's are the operand's.
        if (model_.quantizer(i).quantizer.is_identity() || x.difference == 0) return x;
        return {2 * x.size, codes_change_ ? 4 * x.size : 0};
      case Instruction::kRound:
        // A step of the format is not larger than the value is.
        if (x.difference == 0) return x;
        return {2 * x.size, codes_change_ ? x.difference + x.size : 0};
      case Instruction::kSpline: {
        const packed::Spline& spline = instruction.spline();
        const double most = Largest(model_.floats(spline.coefficients()));
        const double knots = static_cast<double>(ShapeOf(model_.blob(spline.coefficients())).cols() / 2);
        const double slope = 2 * most * knots / spline.range();
        return rounded({most + slope * x.size, slope * x.difference}, static_cast<int>(knots) + 4);
      }
      case Instruction::kEmbedding: {
        const packed::Embedding& embedding = instruction.embedding();
        if (y.is_coded()) return OfCodes(y, 0, codes_change_);
        return {Largest(model_.floats(embedding.table())), 0};
      }
      case Instruction::kShiftAdd:
      case Instruction::kShiftConcat:
      case Instruction::kFixedPoint: return Fixed(i, values);
      default: return x;  // what only moves elements
    }
  }

  // Of integers; where an operand may be another one, anything.
  Bound Fixed(int i, const std::vector<Bound>& values) const {
    double difference = 0;
    for (const int operand : model_.header().instructions(i).operands()) {
      difference = std::max(difference, values[operand].difference);
    }
    const PackedValue& y = model_.value(i + 1);
    if (y.is_coded()) {
      const double size = static_cast<double>(y.encoding.max_code()) * y.scale;
      return {size, difference > 0 && codes_change_ ? 2 * size : 0};
    }
    const double size = std::ldexp(1.0, 31);  // sums times a power of two: only whether they differ counts
    return {size, difference > 0 && codes_change_ ? 2 * size : 0};
  }

  const PackedModel& model_;
  const bool codes_change_;
  Bound input_;
  std::vector<Bound> states_;
};

}  // namespace

double DifferenceBound(const PackedModel& model, int steps, double largest_input, bool codes_change) {
  Bounds bounds(model, largest_input, codes_change);
  double difference = 0;
  for (int t = 0; t < steps; ++t) difference = std::max(difference, bounds.Run().difference);
  return difference;
}

}  // namespace bitgrad
