#include "bitgrad/export/c_code/quantizer_steps.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/float_order.h"
#include "bitgrad/runtime/quantizer_on_device.h"

namespace bitgrad {
namespace {

constexpr size_t kMostSteps = 255;

bool Same(float a, float b) { return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b); }

}  // namespace

absl::StatusOr<QuantizerSteps> StepsOf(const std::function<std::vector<float>(absl::Span<const float>)>& function) {
  const auto at = [&](float x) { return function({&x, 1})[0]; };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const int64_t last = FloatNumber(kInfinity);
  QuantizerSteps steps;
  steps.of_nan = at(std::numeric_limits<float>::quiet_NaN());
  if (!Same(at(0.0f), at(-0.0f))) return absl::UnimplementedError("it makes different values of 0 and -0");
  steps.values.push_back(at(-kInfinity));
  // From one step to the next: the first float whose value is not that of all before it.
  for (int64_t low = FloatNumber(-kInfinity); !Same(at(kInfinity), steps.values.back());) {
    int64_t high = last;  // has another value than `low`
    while (high - low > 1) {
      const int64_t middle = low + (high - low) / 2;
      (Same(at(NthFloat(middle)), steps.values.back()) ? low : high) = middle;
    }
    if (steps.limits.size() == kMostSteps) return absl::UnimplementedError("it has more than 255 steps");
    const float value = at(NthFloat(high));
    if (value < steps.values.back()) return absl::UnimplementedError("its values do not ascend");
    // Comparisons take -0 for 0; both have one value, so the step is at the smaller one.
    steps.limits.push_back(high == FloatNumber(-0.0f) ? 0.0f : NthFloat(high));
    steps.values.push_back(value);
    low = high;
  }
  // Bisection finds every step of what ascends. That it does is tried at and around the limits and at random.
  std::vector<float> x;
  for (const float limit : steps.limits) {
    for (int64_t near = -2; near <= 2; ++near) x.push_back(NthFloat(std::min(last, FloatNumber(limit) + near)));
  }
  const RngStream stream = {.seed = 1, .purpose = RngPurpose::kTest};
  for (uint64_t i = 0; i < 4096; ++i) {
    const float random = std::bit_cast<float>(RandomWord(stream, i));
    x.push_back(i % 2 == 0 ? 4.0f * Uniform(stream, i) - 2.0f : random == random ? random : 0.0f);
  }
  const std::vector<float> y = function(x);
  for (size_t i = 0; i < x.size(); ++i) {
    const auto reached = std::upper_bound(steps.limits.begin(), steps.limits.end(), x[i]) - steps.limits.begin();
    if (!Same(y[i], steps.values[static_cast<size_t>(reached)])) {
      return absl::UnimplementedError(absl::StrCat("its values do not ascend (at ", x[i], ")"));
    }
  }
  return steps;
}

std::vector<float> Quantized(const PackedQuantizer& quantizer, ExecContext& context, absl::Span<const float> x) {
  const QuantizerOnDevice on_device(quantizer, context);
  const auto count = static_cast<int64_t>(x.size());
  std::vector<float> y(x.size());
  const ConstMatrixView<float> from(x.data(), 1, count);
  const MatrixView<float> to(y.data(), 1, count);
  if (!quantizer.encoding().is_integer()) {
    on_device.Values(context, from, to);
    return y;
  }
  on_device.Codes(context, from, to);
  for (float& code : y) code = static_cast<float>(quantizer.encoding().stored(static_cast<int64_t>(code)));
  return y;
}

absl::StatusOr<QuantizerSteps> StepsOf(const PackedQuantizer& quantizer, ExecContext& context) {
  absl::StatusOr<QuantizerSteps> steps =
      StepsOf([&](absl::Span<const float> x) { return Quantized(quantizer, context, x); });
  if (!steps.ok()) {
    return absl::UnimplementedError(
        absl::StrCat("quantizer '", quantizer.quantizer.ToString(), "': ", steps.status().message()));
  }
  return steps;
}

}  // namespace bitgrad
