#include "bitgrad/runtime/shift_step.h"

#include <cmath>
#include <cstdint>
#include <memory>
#include <vector>

#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Instruction;
using packed::Requantize;

ShiftRange RangeOf(const PackedValue& value) {
  return {.least = static_cast<int32_t>(value.encoding.least_code()),
          .most = static_cast<int32_t>(value.encoding.code(value.encoding.largest_stored()))};
}

int32_t LeastOf(const PackedValue& value) { return static_cast<int32_t>(value.encoding.least_code()); }

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

std::unique_ptr<const ShiftFilters> FiltersOf(const PackedModel& model, int i, Frame& frame) {
  const Instruction& instruction = model.header().instructions(i);
  const Requantize& requantize = *RequantizeOf(instruction);
  const PackedValue& x = model.value(instruction.operands(0));
  const int blob = instruction.has_linear() ? instruction.linear().weight() : instruction.conv2d().weight();
  const Shape shape = ShapeOf(model.blob(blob));
  const std::vector<int8_t> codes = WeightCodes(model, blob);
  std::vector<int32_t> bias;
  if (requantize.has_bias()) {
    for (const int32_t b : model.ints(requantize.bias())) bias.push_back(ShiftLeft(b, requantize.bias_shift()));
  }
  std::vector<uint8_t> flips;
  for (int64_t o = 0; requantize.has_flips() && o < shape.rows(); ++o) {
    flips.push_back(model.plane(requantize.flips(), 0).bit(0, o) ? 1 : 0);
  }
  const PackedValue& y = model.value(i + 1);
  ShiftWeights weights = {.w = {codes.data(), shape.rows(), shape.cols()},
                          .x_least = LeastOf(x),
                          .bias = bias,
                          .flips = flips,
                          .levels = y.is_coded() ? static_cast<int>(y.encoding.largest_stored()) : 0};
  // The program has been checked, so its geometry is valid.
  if (instruction.has_conv2d()) weights.geometry = *GeometryOf(instruction.conv2d(), x.example, shape);
  std::unique_ptr<const ShiftFilters> filters;
  frame.kernels().arrange_shift_filters(frame.context(), weights, &filters);
  return filters;
}

// A linear or conv2d.
class ShiftProductStep final : public Step {
 public:
  ShiftProductStep(const PackedModel& model, int i, Frame& frame)
      : operand_(model.header().instructions(i).operands(0)), result_(i + 1), filters_(FiltersOf(model, i, frame)) {
    const Instruction& instruction = model.header().instructions(i);
    const Requantize& requantize = *RequantizeOf(instruction);
    const PackedValue& y = model.value(result_);
    is_coded_ = y.is_coded();
    output_.scale = ScaleOfFraction(requantize.fraction_bits());
    output_.shift = requantize.shift();
    if (is_coded_) output_.range = RangeOf(y);
    // Rows of a linear layer's operand are those of all its dimensions but the last.
    rows_ = instruction.has_linear() ? model.value(operand_).example.rows() : 1;
    if (instruction.operands_size() < 2) return;
    shortcut_ = instruction.operands(1);
    output_.shortcut_least = LeastOf(model.value(shortcut_));
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
    frame.kernels().shift_product(frame.context(), *filters_, frame.batch() * rows_, x, out);
  }

 private:
  const int operand_;
  const int result_;
  const std::unique_ptr<const ShiftFilters> filters_;
  int shortcut_ = -1;
  bool is_coded_ = false;
  int64_t rows_ = 1;
  ShiftOutput output_;
};

class ShiftAddStep final : public Step {
 public:
  ShiftAddStep(const PackedModel& model, int i) : result_(i + 1), range_(RangeOf(model.value(i + 1))) {
    const Instruction& instruction = model.header().instructions(i);
    shift_ = instruction.shift_add().requantize().shift();
    for (int k = 0; k < 2; ++k) {
      operands_[k] = instruction.operands(k);
      addends_[k].least = LeastOf(model.value(operands_[k]));
      addends_[k].left_shift = instruction.shift_add().left_shifts(k);
    }
  }

  void Run(Frame& frame) override {
    for (int k = 0; k < 2; ++k) addends_[k].codes = frame.codes(operands_[k]).data;
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    frame.kernels().shift_add(frame.context(), addends_[0], addends_[1], shift_, range_, y.data, y.size());
  }

 private:
  const int result_;
  const ShiftRange range_;
  int operands_[2];
  ShiftAddend addends_[2];
  int shift_;
};

class ShiftConcatStep final : public Step {
 public:
  ShiftConcatStep(const PackedModel& model, int i) : result_(i + 1), range_(RangeOf(model.value(i + 1))) {
    const Instruction& instruction = model.header().instructions(i);
    for (int k = 0; k < instruction.operands_size(); ++k) {
      const int id = instruction.operands(k);
      operands_.push_back({id, LeastOf(model.value(id)), instruction.shift_concat().shifts(k)});
    }
  }

  void Run(Frame& frame) override {
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    int64_t begin = 0;
    for (const Operand& operand : operands_) {
      const ConstMatrixView<uint8_t> x = frame.codes(operand.id);
      frame.kernels().shift_codes(frame.context(), x, operand.least, operand.shift, range_,
                                  {y.data + begin, x.rows, x.cols, y.cols});
      begin += x.cols;
    }
  }

 private:
  struct Operand {
    int id;
    int32_t least;
    int shift;
  };
  const int result_;
  const ShiftRange range_;
  std::vector<Operand> operands_;
};

// An average_pool with a requantize.
class ShiftAverageStep final : public Step {
 public:
  ShiftAverageStep(const PackedModel& model, int i)
      : operand_(model.header().instructions(i).operands(0)),
        result_(i + 1),
        range_(RangeOf(model.value(i + 1))),
        shift_(RequantizeOf(model.header().instructions(i))->shift()),
        least_(LeastOf(model.value(operand_))),
        // The program has been checked, so its geometry is valid.
        geometry_(*GeometryOf(model.header().instructions(i).average_pool(), model.value(operand_).example)) {}

  void Run(Frame& frame) override {
    PoolGeometry geometry = geometry_;
    geometry.batch = frame.batch();
    const uint8_t* const x = frame.codes(operand_).data;
    frame.kernels().shift_average(frame.context(), geometry, x, least_, shift_, range_, frame.NewCodes(result_).data);
  }

 private:
  const int operand_;
  const int result_;
  const ShiftRange range_;
  const int shift_;
  const int32_t least_;
  const PoolGeometry geometry_;
};

class FixedPointStep final : public Step {
 public:
  FixedPointStep(const PackedModel& model, int i, Frame& frame)
      : operand_(model.header().instructions(i).operands(0)), result_(i + 1), range_(RangeOf(model.value(i + 1))) {
    const packed::FixedPoint& fixed_point = model.header().instructions(i).fixed_point();
    scale_.factor = std::ldexp(1.0f, fixed_point.fraction_bits());
    if (fixed_point.has_mean()) {
      scale_.channels = static_cast<int64_t>(model.floats(fixed_point.mean()).size());
      scale_.mean = frame.blobs().floats(fixed_point.mean());
      scale_.inv_std = frame.blobs().floats(fixed_point.inv_std());
    }
    // The code of each pixel in each channel.
    tables_ = Tensor({scale_.channels, 256}, DType::kUint8, frame.context().lasting_allocator());
    for (int64_t c = 0; c < scale_.channels; ++c) {
      FixedPointScale of_channel = {.factor = scale_.factor};
      if (scale_.mean != nullptr) {
        of_channel.mean = scale_.mean + c;
        of_channel.inv_std = scale_.inv_std + c;
      }
      frame.kernels().fixed_point_codes(frame.context(), of_channel, range_, frame.pixel_values().data,
                                        tables_.mutable_data<uint8_t>() + c * 256, 256);
    }
  }

  void Run(Frame& frame) override {
    const ConstMatrixView<uint8_t> pixels = frame.pixels(operand_);
    if (pixels.data != nullptr) {
      const MatrixView<uint8_t> y = frame.NewCodes(result_);
      frame.kernels().look_up_channels(frame.context(), tables_.data<uint8_t>(), pixels.data, y.data,
                                       y.size() / scale_.channels, scale_.channels);
      return;
    }
    const float* const x = frame.floats(operand_).data;
    const MatrixView<uint8_t> y = frame.NewCodes(result_);
    frame.kernels().fixed_point_codes(frame.context(), scale_, range_, x, y.data, y.size());
  }

 private:
  const int operand_;
  const int result_;
  const ShiftRange range_;
  FixedPointScale scale_;
  Tensor tables_;  // [channels, 256]
};

}  // namespace

std::unique_ptr<Step> NewShiftStep(const PackedModel& model, int i, Frame& frame) {
  const Instruction& instruction = model.header().instructions(i);
  if (RequantizeOf(instruction) == nullptr && !instruction.has_fixed_point()) return nullptr;
  switch (instruction.kind_case()) {
    case Instruction::kShiftAdd: return std::make_unique<ShiftAddStep>(model, i);
    case Instruction::kShiftConcat: return std::make_unique<ShiftConcatStep>(model, i);
    case Instruction::kAveragePool: return std::make_unique<ShiftAverageStep>(model, i);
    case Instruction::kFixedPoint: return std::make_unique<FixedPointStep>(model, i, frame);
    default: return std::make_unique<ShiftProductStep>(model, i, frame);
  }
}

}  // namespace bitgrad
