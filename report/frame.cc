#include "bitgrad/report/frame.h"

#include "bitgrad/report/markup.h"

namespace bitgrad::report {

void Frame::Draw(absl::string_view x_label, absl::string_view y_label, SvgCanvas& canvas) const {
  for (const Tick& tick : y_.ticks()) {
    const double y = bottom() - tick.place * height_;
    canvas.Line(left(), y, right(), y, /*grid=*/true);
    canvas.Text(left() - 6, y, tick.markup, {.anchor = Anchor::kEnd});
  }
  for (const Tick& tick : x_.ticks()) {
    const double x = left() + tick.place * (right() - left());
    canvas.Line(x, bottom(), x, bottom() + 4);
    canvas.Text(x, bottom() + 12, tick.markup, {.anchor = Anchor::kMiddle});
  }
  canvas.Line(left(), bottom(), right(), bottom());
  canvas.Line(left(), top(), left(), bottom());
  canvas.Text((left() + right()) / 2, bottom() + 27, Escaped(x_label), {.anchor = Anchor::kMiddle});
  canvas.Text(8, (top() + bottom()) / 2, Escaped(y_label), {.anchor = Anchor::kMiddle, .rotated = true});
}

}  // namespace bitgrad::report
