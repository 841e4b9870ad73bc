#include "bitgrad/data/stroke_canvas.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

float InkAt(const StrokeCanvas& canvas, int column, int row) {
  return canvas.Ink()[row * StrokeCanvas::kSide + column];
}

TEST(StrokeCanvasTest, InkFallsWithDistanceFromTheLine) {
  StrokeCanvas canvas(/*radius=*/2.0f, /*softness=*/2.0f);
  canvas.DrawPolyline({{5, 10}, {20, 10}});
  EXPECT_EQ(InkAt(canvas, 12, 10), 1.0f);
  EXPECT_EQ(InkAt(canvas, 12, 11), 1.0f);
  EXPECT_EQ(InkAt(canvas, 12, 12), 0.5f);  // at the radius
  EXPECT_EQ(InkAt(canvas, 12, 8), 0.5f);
  EXPECT_EQ(InkAt(canvas, 12, 13), 0.0f);
  EXPECT_EQ(InkAt(canvas, 22, 10), 0.5f);  // round tip
  EXPECT_EQ(InkAt(canvas, 3, 10), 0.5f);
}

// Against the distance of every pixel to every line, computed without a bounding box.
TEST(StrokeCanvasTest, EqualsTheDefinition) {
  const std::vector<CanvasPoint> points = {{-3.5f, 2}, {8.25f, 30}, {8.25f, 4}, {26.9f, 0.3f}, {40, 9}};
  const float radius = 1.3f, softness = 0.9f;
  StrokeCanvas canvas(radius, softness);
  canvas.DrawPolyline(points);
  for (int row = 0; row < StrokeCanvas::kSide; ++row) {
    for (int column = 0; column < StrokeCanvas::kSide; ++column) {
      double distance = 1e9;
      for (size_t i = 0; i + 1 < points.size(); ++i) {
        const double dx = points[i + 1].x - points[i].x, dy = points[i + 1].y - points[i].y;
        const double px = column - points[i].x, py = row - points[i].y;
        const double t = std::clamp((px * dx + py * dy) / (dx * dx + dy * dy), 0.0, 1.0);
        distance = std::min(distance, std::hypot(px - t * dx, py - t * dy));
      }
      const double expected = std::clamp((radius - distance) / softness + 0.5, 0.0, 1.0);
      EXPECT_NEAR(InkAt(canvas, column, row), expected, 1e-5) << column << ", " << row;
    }
  }
}

TEST(StrokeCanvasTest, CrossingStrokesAreNotDarker) {
  StrokeCanvas one(0.4f, 1.0f);
  one.DrawPolyline({{5, 10}, {20, 10}});
  StrokeCanvas twice(0.4f, 1.0f);
  twice.DrawPolyline({{5, 10}, {20, 10}});
  twice.DrawPolyline({{5, 10}, {20, 10}});
  EXPECT_EQ(one.Ink(), twice.Ink());
}

TEST(StrokeCanvasTest, DotsAndEmptyAndFarStrokes) {
  StrokeCanvas canvas(1.0f, 1.0f);
  canvas.DrawPolyline({});
  canvas.DrawPolyline({{-500, -500}, {-400, 1e6f}});
  for (const float ink : canvas.Ink()) EXPECT_EQ(ink, 0.0f);
  const CanvasPoint dot[] = {{14, 14}};
  canvas.DrawPolyline(dot);
  EXPECT_EQ(InkAt(canvas, 14, 14), 1.0f);
  EXPECT_EQ(InkAt(canvas, 15, 14), 0.5f);
}

}  // namespace
}  // namespace bitgrad
