#include "bitgrad/runtime/shift_step.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/shift_product.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Instruction;
using packed::Requantize;

// Work that is worth a thread, in simple operations.
constexpr int64_t kGrain = 1 << 16;

// A requantize of sums that are computed one by one.
struct CodeRange {
  explicit CodeRange(const PackedValue& value)
      : least(static_cast<int32_t>(value.encoding.least_code())),
        most(static_cast<int32_t>(value.encoding.code(value.encoding.largest_stored()))) {}

  // The stored code of clamp(ShiftRight(v, shift)).
  uint8_t Stored(int32_t v, int shift) const {
    // A larger number is beyond every range, and may overflow.
    if (shift < 0) v = std::clamp(v, -256, 256);
    return static_cast<uint8_t>(std::clamp(ShiftRight(v, shift), least, most) - least);
  }

  int32_t least, most;
};

// The weights of a blob of codes as integers.
std::vector<int8_t> WeightCodes(const PackedModel& model, int blob) {
  const packed::Blob& descriptor = model.blob(blob);
  const Shape shape = ShapeOf(descriptor);
  const Encoding encoding = EncodingOf(descriptor);
  std::vector<int8_t> weights(static_cast<size_t>(shape.num_elements()));
  for (int64_t i = 0; i < shape.rows(); ++i) {
    for (int64_t j = 0; j < shape.cols(); ++j) {
      int64_t c = 0;
      for (int p = 0; p < encoding.bits; ++p) c |= int64_t{model.plane(blob, p).bit(i, j)} << p;
      weights[i * shape.cols() + j] = static_cast<int8_t>(encoding.code(c));
    }
  }
  return weights;
}

ShiftFilters FiltersOf(const PackedModel& model, int i) {
  const Instruction& instruction = model.header().instructions(i);
  const Requantize& requantize = *RequantizeOf(instruction);
  const PackedValue& x = model.value(instruction.operands(0));
  const int blob = instruction.has_linear() ? instruction.linear().weight() : instruction.conv2d().weight();
  const Shape shape = ShapeOf(model.blob(blob));
  const std::vector<int8_t> weights = WeightCodes(model, blob);
  const ConstMatrixView<int8_t> w(weights.data(), shape.rows(), shape.cols());
  std::vector<int32_t> bias;
  if (requantize.has_bias()) {
    for (const int32_t b : model.ints(requantize.bias())) bias.push_back(ShiftLeft(b, requantize.bias_shift()));
  }
  std::vector<uint8_t> flips;
  for (int64_t o = 0; requantize.has_flips() && o < shape.rows(); ++o) {
    flips.push_back(model.plane(requantize.flips(), 0).bit(0, o) ? 1 : 0);
  }
  const PackedValue& y = model.value(i + 1);
  const int levels = y.is_coded() ? static_cast<int>(y.encoding.largest_stored()) : 0;
  const auto x_least = static_cast<int32_t>(x.encoding.least_code());
  if (instruction.has_linear()) return ShiftFilters(w, x_least, bias, flips, levels);
  // The program has been checked, so its geometry is valid.
  return ShiftFilters(*GeometryOf(instruction.conv2d(), x.example, shape), w, x_least, bias, flips, levels);
}

// A linear or conv2d.
class ShiftProductStep final : public Step {
 public:
  ShiftProductStep(const PackedModel& model, int i)
      : operand_(model.header().instructions(i).operands(0)), result_(i + 1), filters_(FiltersOf(model, i)) {
    const Instruction& instruction = model.header().instructions(i);
    const Requantize& requantize = *RequantizeOf(instruction);
    const PackedValue& y = model.value(result_);
    is_coded_ = y.is_coded();
    output_.scale = ScaleOfFraction(requantize.fraction_bits());
    output_.shift = requantize.shift();
    if (is_coded_) {
      const CodeRange range(y);
      output_.least = range.least;
      output_.most = range.most;
    }
    // Rows of a linear layer's operand are those of all its dimensions but the last.
    rows_ = filters_.is_linear ? model.value(operand_).example.rows() : 1;
    if (instruction.operands_size() < 2) return;
    shortcut_ = instruction.operands(1);
    output_.shortcut_least = static_cast<int32_t>(model.value(shortcut_).encoding.least_code());
    output_.shortcut_shift = requantize.shortcut_shift();
  }

  void Run(Frame& frame) override {
    ShiftOutput out = output_;
    const uint8_t* const x = frame.codes(operand_).data;
    if (shortcut_ >= 0) out.shortcut = frame.codes(shortcut_).data;
    if (is_coded_) {
      out.codes = frame.NewCodes(result_);
    } else {
      out.floats = frame.NewFloats(result_);
    }
    RunShiftProduct(frame.context(), filters_, frame.batch() * rows_, x, out);
  }

 private:
  const int operand_;
  const int result_;
  const ShiftFilters filters_;
  int shortcut_ = -1;
  bool is_coded_ = false;
  int64_t rows_ = 1;
  ShiftOutput output_;
};

class ShiftAddStep final : public Step {
 public:
  ShiftAddStep(const PackedModel& model, int i)
      : a_(model.header().instructions(i).operands(0)),
        b_(model.header().instructions(i).operands(1)),
        result_(i + 1),
        range_(model.value(i + 1)),
        a_least_(static_cast<int32_t>(model.value(a_).encoding.least_code())),
        b_least_(static_cast<int32_t>(model.value(b_).encoding.least_code())) {
    const packed::ShiftAdd& add = model.header().instructions(i).shift_add();
    a_shift_ = add.left_shifts(0);
    b_shift_ = add.left_shifts(1);
    shift_ = add.requantize().shift();
  }

  void Run(Frame& frame) override {
    const uint8_t* const a = frame.codes(a_).data;
    const uint8_t* const b = frame.codes(b_).data;
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    ParallelFor(frame.context().threads(), y.size(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int32_t sum = ShiftLeft(a_least_ + a[i], a_shift_) + ShiftLeft(b_least_ + b[i], b_shift_);
        y.data[i] = range_.Stored(sum, shift_);
      }
    });
  }

 private:
  const int a_, b_;
  const int result_;
  const CodeRange range_;
  const int32_t a_least_, b_least_;
  int a_shift_, b_shift_, shift_;
};

class ShiftConcatStep final : public Step {
 public:
  ShiftConcatStep(const PackedModel& model, int i) : result_(i + 1) {
    const Instruction& instruction = model.header().instructions(i);
    const CodeRange range(model.value(result_));
    for (int k = 0; k < instruction.operands_size(); ++k) {
      const int id = instruction.operands(k);
      const Encoding& encoding = model.value(id).encoding;
      std::vector<uint8_t> table(256);
      for (int64_t c = 0; c <= encoding.largest_stored(); ++c) {
        table[c] = range.Stored(static_cast<int32_t>(encoding.code(c)), instruction.shift_concat().shifts(k));
      }
      operands_.push_back(id);
      tables_.push_back(std::move(table));
    }
  }

  void Run(Frame& frame) override {
    std::vector<ConstMatrixView<uint8_t>> x;
    for (const int id : operands_) x.push_back(frame.codes(id));
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    int64_t begin = 0;
    for (size_t k = 0; k < x.size(); ++k) {
      for (int64_t i = 0; i < y.rows; ++i) {
        std::transform(x[k].row(i), x[k].row(i) + x[k].cols, y.row(i) + begin,
                       [&](uint8_t c) { return tables_[k][c]; });
      }
      begin += x[k].cols;
    }
  }

 private:
  const int result_;
  std::vector<int> operands_;
  std::vector<std::vector<uint8_t>> tables_;  // from the stored codes of each operand to those of the value
};

// An average_pool with a requantize.
class ShiftAverageStep final : public Step {
 public:
  ShiftAverageStep(const PackedModel& model, int i)
      : operand_(model.header().instructions(i).operands(0)),
        result_(i + 1),
        range_(model.value(i + 1)),
        shift_(RequantizeOf(model.header().instructions(i))->shift()),
        // The program has been checked, so its geometry is valid.
        geometry_(*GeometryOf(model.header().instructions(i).average_pool(), model.value(operand_).example)) {
    // Of a whole window.
    least_ = static_cast<int32_t>(model.value(operand_).encoding.least_code() * geometry_.kernel_height *
                                  geometry_.kernel_width);
  }

  void Run(Frame& frame) override {
    const uint8_t* const x = frame.codes(operand_).data;
    uint8_t* const y = frame.NewCodes(result_).data;
    const PoolGeometry& g = geometry_;
    const int64_t rows = frame.batch() * g.out_height();
    ParallelFor(frame.context().threads(), rows, 8, [&](int64_t begin, int64_t end) {
      std::vector<int32_t> sums(static_cast<size_t>(g.channels));
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / g.out_height(), p = i % g.out_height();
        for (int64_t q = 0; q < g.out_width(); ++q) {
          std::fill(sums.begin(), sums.end(), least_);
          for (int64_t r = 0; r < g.kernel_height; ++r) {
            const uint8_t* from =
                x + ((n * g.height + p * g.stride_height + r) * g.width + q * g.stride_width) * g.channels;
            for (int64_t s = 0; s < g.kernel_width; ++s, from += g.channels) {
              for (int64_t c = 0; c < g.channels; ++c) sums[c] += from[c];
            }
          }
          uint8_t* const to = y + (i * g.out_width() + q) * g.channels;
          for (int64_t c = 0; c < g.channels; ++c) to[c] = range_.Stored(sums[c], shift_);
        }
      }
    });
  }

 private:
  const int operand_;
  const int result_;
  const CodeRange range_;
  const int shift_;
  const PoolGeometry geometry_;
  int32_t least_;
};

class FixedPointStep final : public Step {
 public:
  FixedPointStep(const PackedModel& model, int i, Frame& frame)
      : operand_(model.header().instructions(i).operands(0)), result_(i + 1), range_(model.value(i + 1)) {
    const packed::FixedPoint& fixed_point = model.header().instructions(i).fixed_point();
    power_ = std::ldexp(1.0f, fixed_point.fraction_bits());
    if (fixed_point.has_mean()) {
      const auto mean = model.floats(fixed_point.mean()), inv_std = model.floats(fixed_point.inv_std());
      mean_.assign(mean.begin(), mean.end());
      inv_std_.assign(inv_std.begin(), inv_std.end());
    }
    const ConstMatrixView<float> pixels = frame.pixel_values();
    for (size_t c = 0; c < channels(); ++c) {
      for (int p = 0; p < 256; ++p) table_.push_back(Stored(pixels.at(0, p), c));
    }
  }

  void Run(Frame& frame) override {
    const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_);
    const size_t count = channels();
    if (pixels.data != nullptr) {
      Fill(
          frame, [&](uint8_t* to, int64_t i, size_t c) { *to = table_[c * 256 + pixels.data[i]]; }, count);
      return;
    }
    const float* const x = frame.floats(operand_).data;
    Fill(
        frame, [&](uint8_t* to, int64_t i, size_t c) { *to = Stored(x[i], c); }, count);
  }

 private:
  size_t channels() const { return std::max<size_t>(1, mean_.size()); }

  uint8_t Stored(float x, size_t channel) const {
    if (!mean_.empty()) x = (x - mean_[channel]) * inv_std_[channel];
    // The comparisons come first: a huge number or a NaN cannot be converted. A NaN becomes the least code.
    const float code = std::nearbyint(x * power_);
    const float clamped = code >= static_cast<float>(range_.most)   ? static_cast<float>(range_.most)
                          : code > static_cast<float>(range_.least) ? code
                                                                    : static_cast<float>(range_.least);
    return static_cast<uint8_t>(static_cast<int32_t>(clamped) - range_.least);
  }

  template <typename Make>
  void Fill(Frame& frame, const Make& make, size_t count) {
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    const int64_t groups = y.size() / static_cast<int64_t>(count);
    ParallelFor(frame.context().threads(), groups, kGrain, [&](int64_t begin, int64_t end) {
      int64_t i = begin * static_cast<int64_t>(count);
      for (int64_t g = begin; g < end; ++g) {
        for (size_t c = 0; c < count; ++c, ++i) make(y.data + i, i, c);
      }
    });
  }

  const int operand_;
  const int result_;
  const CodeRange range_;
  float power_;
  std::vector<float> mean_, inv_std_;  // of each channel; empty: 0 and 1
  std::vector<uint8_t> table_;         // [channels, 256]: the stored code of each pixel
};

// Stands for a step on a device that has none, whose context has an error.
class RefusedStep final : public Step {
 public:
  void Run(Frame&) override {}
};

}  // namespace

std::unique_ptr<Step> NewShiftStep(const PackedModel& model, int i, Frame& frame) {
  const Instruction& instruction = model.header().instructions(i);
  if (RequantizeOf(instruction) == nullptr && !instruction.has_fixed_point()) return nullptr;
  if (const absl::Status status = ShiftProductStatus(frame.context().device()); !status.ok()) {
    frame.context().ReportError(status);
    return std::make_unique<RefusedStep>();
  }
  switch (instruction.kind_case()) {
    case Instruction::kShiftAdd: return std::make_unique<ShiftAddStep>(model, i);
    case Instruction::kShiftConcat: return std::make_unique<ShiftConcatStep>(model, i);
    case Instruction::kAveragePool: return std::make_unique<ShiftAverageStep>(model, i);
    case Instruction::kFixedPoint: return std::make_unique<FixedPointStep>(model, i, frame);
    default: return std::make_unique<ShiftProductStep>(model, i);
  }
}

}  // namespace bitgrad
