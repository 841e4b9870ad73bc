// Frame: the rectangle with axes, ticks and labels that curves are drawn in.

#ifndef BITGRAD_REPORT_FRAME_H_
#define BITGRAD_REPORT_FRAME_H_

#include <utility>

#include "absl/strings/string_view.h"
#include "bitgrad/report/axis.h"
#include "bitgrad/report/svg.h"

namespace bitgrad::report {

class Frame {
 public:
  // The frame is as wide as a figure, `height` units high, and lies at the figure's top.
  Frame(Axis x, Axis y, double height) : x_(std::move(x)), y_(std::move(y)), height_(height) {}

  // Of data.
  double X(double x) const { return left() + x_.Place(x) * (right() - left()); }
  double Y(double y) const { return bottom() - y_.Place(y) * height_; }

  double left() const { return 62; }
  double right() const { return kFigureWidth - 12; }
  double top() const { return 18; }
  double bottom() const { return top() + height_; }
  // Where what belongs to the frame ends: below the label of x.
  double end() const { return bottom() + 38; }

  // The label of y stands upright at the left, that of x below.
  void Draw(absl::string_view x_label, absl::string_view y_label, SvgCanvas& canvas) const;

 private:
  const Axis x_, y_;
  const double height_;
};

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_FRAME_H_
