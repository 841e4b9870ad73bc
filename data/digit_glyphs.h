// How digits are written: for each digit several variants, as pen strokes.
//
// A stroke is a curve through control points (Catmull-Rom: smooth through each point, tangent
// parallel to the chord of its neighbours), except at points marked kCorner, where the direction
// may jump. Coordinates: the unit square, x to the right, y down.

#ifndef BITGRAD_DATA_DIGIT_GLYPHS_H_
#define BITGRAD_DATA_DIGIT_GLYPHS_H_

#include "absl/types/span.h"

namespace bitgrad {

enum PointKind : bool { kSmooth = false, kCorner = true };

struct ControlPoint {
  float x;
  float y;
  PointKind kind = kSmooth;
};

inline constexpr int kMaxControlPoints = 14;
inline constexpr int kMaxStrokes = 2;

struct Stroke {
  int count = 0;  // 0: no such stroke
  ControlPoint points[kMaxControlPoints] = {};
};

struct Glyph {
  int digit;
  Stroke strokes[kMaxStrokes];
};

// The ways to write `digit`; each is drawn equally often. REQUIRES: 0 <= digit < 10.
absl::Span<const Glyph> GlyphsOf(int digit);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DIGIT_GLYPHS_H_
