#include "bitgrad/models/diagnostics/weight_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "bitgrad/core/transfer.h"
#include "bitgrad/models/diagnostics/step_diagnostics.h"

namespace bitgrad {
namespace {

constexpr int kBins = 40;
constexpr int64_t kMostFilters = 64;

bool IsWeight(const Parameter& parameter) {
  return parameter.value.dtype() == DType::kFloat32 && parameter.value.num_elements() > 0 &&
         (parameter.kind == ParameterKind::kWeight || parameter.kind == ParameterKind::kQuantizedWeight);
}

// Of the finite values.
float LargestMagnitude(absl::Span<const float> values) {
  float largest = 0;
  for (const float x : values) {
    if (std::isfinite(x)) largest = std::max(largest, std::fabs(x));
  }
  return largest;
}

}  // namespace

diagnostics::Histogram HistogramOf(absl::Span<const float> values, double low, double high, int bins) {
  std::vector<int64_t> counts(static_cast<size_t>(bins), 0);
  const double scale = bins / (high - low);
  float least = std::numeric_limits<float>::infinity(), most = -least;
  double sum = 0, sum_of_squares = 0;
  for (const float x : values) {
    if (!std::isfinite(x)) continue;
    const double bin = std::clamp((double{x} - low) * scale, 0.0, static_cast<double>(bins - 1));
    ++counts[static_cast<size_t>(bin)];
    least = std::min(least, x);
    most = std::max(most, x);
    sum += double{x};
    sum_of_squares += double{x} * double{x};
  }
  diagnostics::Histogram histogram;
  if (least <= most) {
    histogram.set_least(double{least});
    histogram.set_most(double{most});
  }
  histogram.set_sum(sum);
  histogram.set_sum_of_squares(sum_of_squares);
  histogram.set_low(low);
  histogram.set_high(high);
  histogram.mutable_counts()->Assign(counts.begin(), counts.end());
  return histogram;
}

void DescribeWeights(ExecContext& context, absl::Span<Parameter* const> parameters, diagnostics::Epoch& epoch) {
  for (const Parameter* parameter : parameters) {
    if (!IsWeight(*parameter)) continue;
    const Tensor host = ToHost(context, parameter->value);
    const absl::Span<const float> values = host.span<float>();
    double low = double{parameter->least}, high = double{parameter->most};
    if (!std::isfinite(low) || !std::isfinite(high)) {
      const double most = double{LargestMagnitude(values)};
      low = most > 0 ? -most : -1;
      high = -low;
    }
    *LayerIn(LayerOf(*parameter), epoch).mutable_weights() = HistogramOf(values, low, high, kBins);
  }
}

std::vector<diagnostics::Picture> FirstFilters(ExecContext& context, absl::Span<Parameter* const> parameters,
                                               int64_t height, int64_t width, int64_t channels) {
  const auto first = std::find_if(parameters.begin(), parameters.end(), [](const auto* p) { return IsWeight(*p); });
  if (first == parameters.end() || (channels != 1 && channels != 3)) return {};
  const Shape& shape = (*first)->value.shape();
  if (shape.rank() == 4) {
    if (shape.dim(3) != channels) return {};
    height = shape.dim(1);
    width = shape.dim(2);
  } else if (shape.rank() != 2 || shape.dim(1) != height * width * channels) {
    return {};
  }
  const Tensor host = ToHost(context, (*first)->value);
  const auto pixels = static_cast<size_t>(height * width * channels);
  std::vector<diagnostics::Picture> pictures;
  for (int64_t i = 0; i < std::min(shape.dim(0), kMostFilters); ++i) {
    const absl::Span<const float> filter = host.span<float>().subspan(static_cast<size_t>(i) * pixels, pixels);
    const float largest = LargestMagnitude(filter);
    std::string bytes;
    for (const float x : filter) {
      const float grey = largest > 0 && std::isfinite(x) ? 127.5f + 127.5f * x / largest : 127.5f;
      bytes.push_back(static_cast<char>(static_cast<uint8_t>(std::lround(grey))));
    }
    diagnostics::Picture& picture = pictures.emplace_back();
    picture.set_height(static_cast<int32_t>(height));
    picture.set_width(static_cast<int32_t>(width));
    picture.set_channels(static_cast<int32_t>(channels));
    picture.set_pixels(bytes);
  }
  return pictures;
}

}  // namespace bitgrad
