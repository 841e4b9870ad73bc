#include "bitgrad/data/resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace bitgrad {
namespace {

// The input pixels first, first + 1, ... that an output pixel is made of, and how much each counts.
struct Taps {
  int64_t first = 0;
  std::vector<float> weights;  // their sum is 1
};

// The taps of the central `size` pixels of a row of `from` pixels that is resized to `to`.
std::vector<Taps> CentralTaps(int64_t from, int64_t to, int64_t size) {
  const double ratio = static_cast<double>(from) / static_cast<double>(to);
  const double reach = std::max(1.0, ratio);
  std::vector<Taps> all(size);
  for (int64_t i = 0; i < size; ++i) {
    const double centre = (static_cast<double>((to - size) / 2 + i) + 0.5) * ratio - 0.5;
    Taps& taps = all[i];
    taps.first = std::max<int64_t>(0, static_cast<int64_t>(std::ceil(centre - reach)));
    const int64_t last = std::min(from - 1, static_cast<int64_t>(std::floor(centre + reach)));
    double sum = 0;
    for (int64_t j = taps.first; j <= last; ++j) {
      const double weight = 1 - std::fabs(static_cast<double>(j) - centre) / reach;
      taps.weights.push_back(static_cast<float>(weight));
      sum += weight;
    }
    for (float& weight : taps.weights) weight = static_cast<float>(weight / sum);
  }
  return all;
}

}  // namespace

Image ResizeAndCrop(const Image& image, int64_t size) {
  const auto [height, width, channels] = image.shape;
  const int64_t shorter = std::min(height, width);
  const auto resized = [&](int64_t side) { return (side * size + shorter / 2) / shorter; };
  const std::vector<Taps> columns = CentralTaps(width, resized(width), size);
  const std::vector<Taps> rows = CentralTaps(height, resized(height), size);

  // All columns of the rows that are needed: [rows, size, channels].
  const int64_t first = rows.front().first;
  const int64_t end = rows.back().first + static_cast<int64_t>(rows.back().weights.size());
  const int64_t row_values = size * channels;
  std::vector<float> narrow((end - first) * row_values);
  for (int64_t r = first; r < end; ++r) {
    const uint8_t* in = &image.pixels[r * width * channels];
    float* out = &narrow[(r - first) * row_values];
    for (const Taps& taps : columns) {
      for (int64_t c = 0; c < channels; ++c) {
        float sum = 0;
        for (size_t k = 0; k < taps.weights.size(); ++k) {
          sum += taps.weights[k] * static_cast<float>(in[(taps.first + k) * channels + c]);
        }
        *out++ = sum;
      }
    }
  }
  Image result{{size, size, channels}, std::vector<uint8_t>(size * row_values)};
  std::vector<float> sums(row_values);
  for (int64_t r = 0; r < size; ++r) {
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (size_t k = 0; k < rows[r].weights.size(); ++k) {
      const float weight = rows[r].weights[k];
      const float* in = &narrow[(rows[r].first + k - first) * row_values];
      for (int64_t j = 0; j < row_values; ++j) sums[j] += weight * in[j];
    }
    for (int64_t j = 0; j < row_values; ++j) {
      result.pixels[r * row_values + j] = static_cast<uint8_t>(std::clamp(std::floor(sums[j] + 0.5f), 0.0f, 255.0f));
    }
  }
  return result;
}

}  // namespace bitgrad
