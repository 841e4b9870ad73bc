// StrokeCanvas: draws round-tipped pen strokes with smooth edges on a small square image.
//
// The ink at a pixel is a function of the distance d from the pixel's centre to the nearest line that was drawn:
//
//   ink(d) = clamp((radius - d) / softness + 1/2, 0, 1)
//
// so strokes that cross or touch do not get darker there, as with a pen. The canvas keeps d^2 for each pixel.

#ifndef BITGRAD_DATA_STROKE_CANVAS_H_
#define BITGRAD_DATA_STROKE_CANVAS_H_

#include <array>

#include "absl/types/span.h"

namespace bitgrad {

struct CanvasPoint {
  float x;  // pixels; the centre of the pixel in column c, row r is (c, r)
  float y;
};

class StrokeCanvas {
 public:
  static constexpr int kSide = 28;
  static constexpr int kPixels = kSide * kSide;

  // Both in pixels. REQUIRES: radius >= 0, softness > 0.
  StrokeCanvas(float radius, float softness);

  // Lines from point to point. A single point is a dot; points may lie outside the image.
  void DrawPolyline(absl::Span<const CanvasPoint> points);

  // Row-major, in [0, 1].
  std::array<float, kPixels> Ink() const;

 private:
  void DrawSegment(CanvasPoint a, CanvasPoint b);

  float radius_;
  float softness_;
  float reach_;  // beyond this distance there is no ink
  std::array<float, kPixels> squared_distance_;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_STROKE_CANVAS_H_
