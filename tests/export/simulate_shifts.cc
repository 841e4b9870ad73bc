#include "bitgrad/tests/export/simulate_shifts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "absl/types/span.h"

namespace bitgrad {
namespace {

double RoundHalfUp(double v) { return std::floor(v + 0.5); }

struct Value {
  std::vector<double> codes;  // or sums
  int n = 0;                  // fractional bits
  double least = 0, most = 0;
  std::vector<int64_t> shape;
  int64_t cols() const { return shape.back(); }
};

class Simulation {
 public:
  explicit Simulation(const PackedModel& model) : model_(model), header_(model.header()) {}

  std::vector<float> Run(absl::Span<const uint8_t> pixels) {
    Value input;
    const packed::PixelMapping& mapping = header_.input().pixels();
    for (const uint8_t p : pixels) {
      input.codes.push_back((mapping.multiplier() * static_cast<float>(p) + mapping.offset()) / mapping.divisor());
    }
    input.shape.assign(header_.input().shape().begin(), header_.input().shape().end());
    values_ = {input};
    for (const packed::Instruction& instruction : header_.instructions()) values_.push_back(Make(instruction));
    std::vector<float> result;
    for (const double code : values_.back().codes) {
      result.push_back(static_cast<float>(code) * std::ldexp(1.0f, -values_.back().n));
    }
    return result;
  }

 private:
  static void SetRange(packed::Blob::Kind kind, int bits, int n, Value& y) {
    y.n = n;
    const bool has_sign = kind == packed::Blob::TWOS_COMPLEMENT;
    y.least = has_sign ? -std::ldexp(1.0, bits - 1) : 0.0;
    y.most = std::ldexp(1.0, has_sign ? bits - 1 : bits) - 1;
  }
  static double Code(double sum, int shift, const Value& y) {
    return std::clamp(RoundHalfUp(sum * std::ldexp(1.0, -shift)), y.least, y.most);
  }
  static void SetOutput(const packed::Requantize& requantize, Value& y) {
    SetRange(requantize.encoding(), requantize.bits(), requantize.fraction_bits(), y);
  }

  Value Make(const packed::Instruction& instruction) {
    const Value& x = values_[instruction.operands(0)];
    if (instruction.has_fixed_point()) return FixedPoint(instruction.fixed_point(), x);
    if (instruction.has_linear()) {
      // A convolution of an image of one pixel.
      Value pixel = x;
      pixel.shape = {1, 1, x.cols()};
      packed::Conv2d conv;
      for (const auto set :
           {&packed::Conv2d::set_kernel_height, &packed::Conv2d::set_kernel_width, &packed::Conv2d::set_stride_height,
            &packed::Conv2d::set_stride_width, &packed::Conv2d::set_dilation_height,
            &packed::Conv2d::set_dilation_width, &packed::Conv2d::set_groups}) {
        (conv.*set)(1);
      }
      Value y = Product(instruction, conv, instruction.linear().weight(), instruction.linear().requantize(), pixel);
      y.shape = {y.cols()};
      return y;
    }
    if (instruction.has_conv2d()) {
      const packed::Conv2d& conv = instruction.conv2d();
      return Product(instruction, conv, conv.weight(), conv.requantize(), x);
    }
    if (instruction.has_max_pool()) return Pool(instruction.max_pool(), true, x);
    if (instruction.has_average_pool()) return Pool(instruction.average_pool(), false, x);
    Value y = x;
    if (instruction.has_reshape()) {
      y.shape.assign(instruction.reshape().shape().begin(), instruction.reshape().shape().end());
    } else if (instruction.has_shift_add()) {
      const packed::ShiftAdd& add = instruction.shift_add();
      const Value& b = values_[instruction.operands(1)];
      SetOutput(add.requantize(), y);
      for (size_t i = 0; i < y.codes.size(); ++i) {
        y.codes[i] = Code(std::ldexp(x.codes[i], add.left_shifts(0)) + std::ldexp(b.codes[i], add.left_shifts(1)),
                          add.requantize().shift(), y);
      }
    } else if (instruction.has_shift_concat()) {
      const packed::ShiftConcat& concat = instruction.shift_concat();
      SetOutput(concat.requantize(), y);
      y.codes.clear();
      const auto rows = static_cast<int64_t>(x.codes.size()) / x.cols();
      y.shape.back() = 0;
      for (const int id : instruction.operands()) y.shape.back() += values_[id].cols();
      for (int64_t i = 0; i < rows; ++i) {
        for (int k = 0; k < instruction.operands_size(); ++k) {
          const Value& part = values_[instruction.operands(k)];
          for (int64_t j = 0; j < part.cols(); ++j) {
            y.codes.push_back(Code(part.codes[i * part.cols() + j], concat.shifts(k), y));
          }
        }
      }
    }
    return y;
  }

  Value FixedPoint(const packed::FixedPoint& fixed_point, const Value& x) {
    Value y = x;
    SetRange(fixed_point.encoding(), fixed_point.bits(), fixed_point.fraction_bits(), y);
    for (size_t i = 0; i < x.codes.size(); ++i) {
      float v = static_cast<float>(x.codes[i]);
      if (fixed_point.has_mean()) {
        const auto mean = model_.floats(fixed_point.mean()), inv_std = model_.floats(fixed_point.inv_std());
        v = (v - mean[i % mean.size()]) * inv_std[i % mean.size()];
      }
      y.codes[i] = std::clamp(std::rint(std::ldexp(static_cast<double>(v), y.n)), y.least, y.most);
    }
    return y;
  }

  double Weight(int blob, int64_t o, int64_t k) const {
    int64_t c = 0;
    const int bits = header_.blobs(blob).bits();
    for (int p = 0; p < bits; ++p) c += (model_.plane(blob, p).bit(o, k) ? 1 : 0) << p;
    return static_cast<double>(c) - std::ldexp(1.0, bits - 1);
  }

  Value Product(const packed::Instruction& instruction, const packed::Conv2d& conv, int weight,
                const packed::Requantize& requantize, const Value& x) {
    const int64_t outputs = header_.blobs(weight).shape(0), terms = header_.blobs(weight).shape(1);
    auto& weights = weights_[weight];
    for (int64_t i = 0; weights.size() < static_cast<size_t>(outputs * terms); ++i) {
      weights.push_back(Weight(weight, i / terms, i % terms));
    }
    const int64_t height = x.shape[0], width = x.shape[1], channels = x.shape[2];
    const int64_t group_channels = channels / conv.groups(), group_outputs = outputs / conv.groups();
    const auto extent = [](int64_t size, int64_t pad, int64_t dilation, int64_t kernel, int64_t stride) {
      return (size + 2 * pad - dilation * (kernel - 1) - 1) / stride + 1;
    };
    Value y;
    y.shape = {extent(height, conv.pad_height(), conv.dilation_height(), conv.kernel_height(), conv.stride_height()),
               extent(width, conv.pad_width(), conv.dilation_width(), conv.kernel_width(), conv.stride_width()),
               outputs};
    SetOutput(requantize, y);
    for (int64_t p = 0; p < y.shape[0]; ++p) {
      for (int64_t q = 0; q < y.shape[1]; ++q) {
        for (int64_t o = 0; o < outputs; ++o) {
          double sum = 0;
          for (int64_t k = 0; k < terms; ++k) {
            const int64_t c = k % group_channels + o / group_outputs * group_channels;
            const int64_t s = k / group_channels % conv.kernel_width(), r = k / group_channels / conv.kernel_width();
            const int64_t h = p * conv.stride_height() + r * conv.dilation_height() - conv.pad_height();
            const int64_t w = q * conv.stride_width() + s * conv.dilation_width() - conv.pad_width();
            if (h < 0 || h >= height || w < 0 || w >= width) continue;
            sum += x.codes[(h * width + w) * channels + c] * weights[o * terms + k];
          }
          if (requantize.has_bias()) {
            sum += RoundHalfUp(std::ldexp(model_.ints(requantize.bias())[o], requantize.bias_shift()));
          }
          if (instruction.operands_size() == 2) {
            const Value& shortcut = values_[instruction.operands(1)];
            sum += RoundHalfUp(std::ldexp(shortcut.codes[y.codes.size()], requantize.shortcut_shift()));
          }
          if (requantize.encoding() != packed::Blob::UNSPECIFIED) {
            sum = Code(sum, requantize.shift(), y);
            // What is stored is the distance to the least code, which a flip takes from the other end.
            if (requantize.has_flips() && model_.plane(requantize.flips(), 0).bit(0, o)) sum = y.most + y.least - sum;
          }
          y.codes.push_back(sum);
        }
      }
    }
    return y;
  }

  Value Pool(const packed::Pool& pool, bool is_max, const Value& x) {
    const int64_t height = x.shape[0], width = x.shape[1], channels = x.shape[2];
    Value y = x;
    y.codes.clear();
    y.shape[0] = (height - pool.kernel_height()) / pool.stride_height() + 1;
    y.shape[1] = (width - pool.kernel_width()) / pool.stride_width() + 1;
    if (!is_max) SetOutput(pool.requantize(), y);
    for (int64_t p = 0; p < y.shape[0]; ++p) {
      for (int64_t q = 0; q < y.shape[1]; ++q) {
        for (int64_t c = 0; c < channels; ++c) {
          double sum = 0, most = -std::numeric_limits<double>::infinity();
          for (int64_t r = 0; r < pool.kernel_height(); ++r) {
            for (int64_t s = 0; s < pool.kernel_width(); ++s) {
              const double code =
                  x.codes[((p * pool.stride_height() + r) * width + q * pool.stride_width() + s) * channels + c];
              sum += code;
              most = std::max(most, code);
            }
          }
          if (is_max) {
            const bool flips = pool.has_flips() && model_.plane(pool.flips(), 0).bit(0, c);
            y.codes.push_back(flips ? x.most + x.least - most : most);
          } else {
            y.codes.push_back(Code(sum, pool.requantize().shift(), y));
          }
        }
      }
    }
    return y;
  }

  const PackedModel& model_;
  const packed::Header& header_;
  std::vector<Value> values_;
  std::map<int, std::vector<double>> weights_;
};

}  // namespace

std::vector<float> SimulateShifts(const PackedModel& model, ConstMatrixView<uint8_t> images) {
  // The weights are unpacked once.
  Simulation simulation(model);
  std::vector<float> results;
  for (int64_t i = 0; i < images.rows; ++i) {
    const std::vector<float> result = simulation.Run({images.row(i), static_cast<size_t>(images.cols)});
    results.insert(results.end(), result.begin(), result.end());
  }
  return results;
}

}  // namespace bitgrad
