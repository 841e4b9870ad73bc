#include "bitgrad/models/lipschitz.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/elementwise.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/ops/spline_coefficients.h"

namespace bitgrad {
namespace {

using Bounds = LipschitzBounds::Bounds;

constexpr double kNone = std::numeric_limits<double>::infinity();

// Infinity times 0 is no bound either.
double Product(double a, double b) { return std::isinf(a) || std::isinf(b) ? kNone : a * b; }
Bounds Times(const Bounds& x, double operator_norm, double paper) {
  return {Product(x.operator_norm, operator_norm), Product(x.paper, paper)};
}

double LargestMagnitude(absl::Span<const float> values) {
  double largest = 0;
  for (const float value : values) largest = std::max(largest, std::fabs(double{value}));
  return largest;
}

// Of w [out, in].
double LargestColumnSum(const Tensor& w) {
  const int64_t out = w.shape().dim(0), in = w.num_elements() / out;
  std::vector<double> sums(static_cast<size_t>(in), 0.0);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; ++i) sums[static_cast<size_t>(i)] += std::fabs(double{w.data<float>()[o * in + i]});
  }
  return *std::max_element(sums.begin(), sums.end());
}

// Of w [filters, taps, channels / groups]; filter o reads the channels of its group.
double LargestChannelSum(const Tensor& w, const ConvGeometry& geometry) {
  const int64_t channels = geometry.channels / geometry.groups, taps = geometry.patch_size() / channels;
  std::vector<double> sums(static_cast<size_t>(geometry.channels), 0.0);
  const float* value = w.data<float>();
  for (int64_t o = 0; o < geometry.filters; ++o) {
    const int64_t first = o / (geometry.filters / geometry.groups) * channels;
    for (int64_t t = 0; t < taps; ++t) {
      for (int64_t i = 0; i < channels; ++i) sums[static_cast<size_t>(first + i)] += std::fabs(double{*value++});
    }
  }
  return *std::max_element(sums.begin(), sums.end());
}

int64_t WindowsOver(int64_t kernel, int64_t stride) { return (kernel + stride - 1) / stride; }

double ActivationSlope(const OpDescriptor& op) {
  switch (static_cast<Unary>(op.Get<int64_t>("unary", 0))) {
    case Unary::kLeakyRelu: return std::max(1.0, std::fabs(op.Get<double>("parameter", 0)));
    case Unary::kSigmoid: return 0.25;
    default: return 1;
  }
}

}  // namespace

LipschitzBounds::LipschitzBounds(Tape& tape, const Var& input) : tape_(tape) {
  bounds_[input.index()] = {};
  tape_.set_op_listener([this](const OpEvent& event) { Follow(event.node); });
}

LipschitzBounds::~LipschitzBounds() { tape_.set_op_listener(nullptr); }

Bounds LipschitzBounds::Of(const Var& output) const {
  const auto found = bounds_.find(output.index());
  return output.tape() != &tape_ || found == bounds_.end() ? Bounds{kNone, kNone} : found->second;
}

void LipschitzBounds::Follow(int32_t last) {
  const Tape::Node& node = tape_.nodes()[static_cast<size_t>(last)];
  const bool varies =
      std::any_of(node.inputs.begin(), node.inputs.end(), [&](int32_t operand) { return bounds_.count(operand) > 0; });
  if (varies) bounds_[last] = OfOp(node);
}

Bounds LipschitzBounds::OfOp(const Tape::Node& node) {
  const OpDescriptor& op = node.descriptor;
  const auto varies = [&](size_t k) { return bounds_.count(node.inputs[k]) > 0; };
  // Of an operand that does not vary, in the host's memory; its handle lives while the op is recorded.
  const auto constant = [&](size_t k) { return ToHost(tape_.context(), tape_.ValueOf(node.inputs[k])); };
  Bounds sum = {0, 0};
  for (size_t k = 0; k < node.inputs.size(); ++k) {
    const auto operand = bounds_.find(node.inputs[k]);
    if (operand == bounds_.end()) continue;
    sum.operator_norm += operand->second.operator_norm;
    sum.paper += operand->second.paper;
  }
  if (op.op == "add" || op.op == "sub" || op.op == "concat" || op.op == "reshape" || op.op == "slice_columns") {
    return sum;
  }
  if (op.op == "mul" && !(varies(0) && varies(1))) {
    const double factor = LargestMagnitude(constant(varies(0) ? 1 : 0).span<float>());
    return Times(sum, factor, factor);
  }
  // What follows has one operand that varies, the first.
  const bool first_only = varies(0) && std::count_if(node.inputs.begin(), node.inputs.end(),
                                                     [&](int32_t operand) { return bounds_.count(operand) > 0; }) == 1;
  if (!first_only) return {kNone, kNone};
  if (op.op == "linear") {
    return Times(sum, LargestColumnSum(constant(1)), LargestMagnitude(constant(1).span<float>()));
  }
  if (op.op == "conv2d") {
    return Times(sum, LargestChannelSum(constant(1), op.Get<ConvGeometry>("geometry", {})),
                 LargestMagnitude(constant(1).span<float>()));
  }
  if (op.op == "spline") {
    const Tensor c = constant(1);
    const SplineGrid grid = {.knots = c.shape().cols(), .range = static_cast<float>(op.Get<double>("range", 1))};
    double largest = 0, bv2 = 0;
    for (int64_t n = 0; n < c.shape().dim(0); ++n) {
      const absl::Span<const float> row(c.data<float>() + n * grid.knots, static_cast<size_t>(grid.knots));
      largest = std::max(largest, LargestSlope(row, grid));
      bv2 += Bv2(row, grid);
      active_knots_ += ActiveKnots(row, grid, op.Get<double>("threshold", 0));
      ++splines_;
    }
    return Times(sum, largest, bv2);
  }
  if (op.op == "batch_norm" && node.inputs.size() == 5) {
    const Tensor inv_std = constant(2), gamma = constant(3);
    double largest = 0;
    for (int64_t i = 0; i < gamma.num_elements(); ++i) {
      largest = std::max(largest, std::fabs(double{gamma.data<float>()[i]} * inv_std.data<float>()[i]));
    }
    return Times(sum, largest, largest);
  }
  if (op.op == "max_pool" || op.op == "average_pool") {
    const PoolGeometry pool = op.Get<PoolGeometry>("geometry", {});
    double factor = static_cast<double>(WindowsOver(pool.kernel_height, pool.stride_height) *
                                        WindowsOver(pool.kernel_width, pool.stride_width));
    // A window that reaches over the border divides by what it has inside, which may be one element.
    const bool is_inside = pool.pad_height == 0 && pool.pad_width == 0 && !pool.partial;
    if (op.op == "average_pool" && is_inside) factor /= static_cast<double>(pool.kernel_height * pool.kernel_width);
    return Times(sum, factor, factor);
  }
  if (op.Get<int64_t>("unary", 0) != 0) {
    const double slope = ActivationSlope(op);
    return Times(sum, slope, slope);
  }
  return {kNone, kNone};
}

}  // namespace bitgrad
