#include "bitgrad/data/stroke_canvas.h"

#include <algorithm>
#include <cmath>

namespace bitgrad {
namespace {

// The first pixel at or after `x`, limited to 0 .. kSide.
int FirstPixel(float x) {
  return static_cast<int>(std::ceil(std::clamp(x, 0.0f, static_cast<float>(StrokeCanvas::kSide))));
}

}  // namespace

StrokeCanvas::StrokeCanvas(float radius, float softness)
    : radius_(radius), softness_(softness), reach_(radius + 0.5f * softness) {
  squared_distance_.fill(4.0f * reach_ * reach_ + 1.0f);  // any distance at which there is no ink
}

void StrokeCanvas::DrawPolyline(absl::Span<const CanvasPoint> points) {
  if (points.size() == 1) DrawSegment(points[0], points[0]);
  for (size_t i = 0; i + 1 < points.size(); ++i) DrawSegment(points[i], points[i + 1]);
}

void StrokeCanvas::DrawSegment(CanvasPoint a, CanvasPoint b) {
  const float dx = b.x - a.x;
  const float dy = b.y - a.y;
  const float squared_length = dx * dx + dy * dy;
  const float inverse = squared_length > 0.0f ? 1.0f / squared_length : 0.0f;
  // Only the pixels that the segment's ink can reach are visited.
  const int left = FirstPixel(std::min(a.x, b.x) - reach_);
  const int right = FirstPixel(std::max(a.x, b.x) + reach_);
  const int top = FirstPixel(std::min(a.y, b.y) - reach_);
  const int bottom = FirstPixel(std::max(a.y, b.y) + reach_);
  for (int row = top; row < bottom; ++row) {
    const float py = static_cast<float>(row) - a.y;
    float* out = &squared_distance_[row * kSide];
    for (int column = left; column < right; ++column) {
      const float px = static_cast<float>(column) - a.x;
      // Nearest point of the segment: a + t (b - a).
      const float t = std::clamp((px * dx + py * dy) * inverse, 0.0f, 1.0f);
      const float ex = px - t * dx;
      const float ey = py - t * dy;
      out[column] = std::min(out[column], ex * ex + ey * ey);
    }
  }
}

std::array<float, StrokeCanvas::kPixels> StrokeCanvas::Ink() const {
  std::array<float, kPixels> ink;
  const float scale = 1.0f / softness_;
  for (int i = 0; i < kPixels; ++i) {
    const float distance = std::sqrt(squared_distance_[i]);
    ink[i] = std::clamp((radius_ - distance) * scale + 0.5f, 0.0f, 1.0f);
  }
  return ink;
}

}  // namespace bitgrad
