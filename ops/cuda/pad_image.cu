// Copies images and puts a border around them. Limited by memory, 8 bytes per element.

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/divisor.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

void PadImageF32(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, float* y) {
  const int64_t height = geometry.height, pad_height = geometry.pad_height, padded_height = height + 2 * pad_height;
  const int64_t line = geometry.width * geometry.channels, margin = geometry.pad_width * geometry.channels;
  const int64_t rows = geometry.batch * padded_height, cols = line + 2 * margin;
  if (rows * cols == 0) return;
  BITGRAD_CHECK(rows < kMostDividends);
  const Divisor by_height(padded_height);
  ForCells(context, "pad_image_f32", rows, cols, [=] __device__(int64_t i, int64_t j) {
    const int64_t n = by_height.Quotient(static_cast<uint32_t>(i));
    const int64_t h = i - n * padded_height - pad_height, k = j - margin;
    y[i * cols + j] = h >= 0 && h < height && k >= 0 && k < line ? x[(n * height + h) * line + k] : border;
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
