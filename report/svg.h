// SvgCanvas: draws a figure as SVG.
//
// Each element has its colour for a white background as an attribute, so that a figure that is cut out of a page looks
// as it should in a paper; a page's style overrides it by the element's class (style.h), for a dark theme.

#ifndef BITGRAD_REPORT_SVG_H_
#define BITGRAD_REPORT_SVG_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad::report {

// All figures are so wide, in units of their own: a page shows one in a column of about as many pixels.
inline constexpr double kFigureWidth = 420;
inline constexpr double kFontSize = 11;

// The color of the i-th of n things. Up to seven are Okabe and Ito's, which people of all kinds of color vision tell
// apart; more, which are layers, follow each other on a scale from blue to purple.
struct Color {
  std::string hex;         // "#0072B2"
  std::string line_class;  // of what is stroked in it; empty where the color does not depend on the theme
  std::string fill_class;
};
Color ColorOf(size_t i, size_t n);

enum class Anchor { kStart, kMiddle, kEnd };

struct TextOptions {
  Anchor anchor = Anchor::kStart;
  bool rotated = false;  // reads upwards
  bool muted = false;    // says less
  std::string tooltip;
};

class SvgCanvas {
 public:
  // `description` is what the figure shows, for who does not see it.
  explicit SvgCanvas(absl::string_view description);

  // A line of the frame or, where it is `grid`, of the grid behind the data.
  void Line(double x1, double y1, double x2, double y2, bool grid = false);
  // The middle of the text's lower-case letters is at y. `markup` is the content of an SVG text.
  void Text(double x, double y, absl::string_view markup, const TextOptions& options = {});
  // A path, as the attribute d has it.
  void Stroke(absl::string_view path, const Color& color, bool dashed = false);
  void Fill(absl::string_view path, const Color& color, double opacity, absl::string_view tooltip = "");
  void Rectangle(double x, double y, double width, double height, const Color& color, double opacity,
                 absl::string_view tooltip = "");
  void Dot(double x, double y, double radius, const Color& color, absl::string_view tooltip = "");
  // Names and their colors in columns, from y downwards. Returns where it ends.
  double Legend(double x, double y, double width, absl::Span<const std::pair<std::string, Color>> entries);
  // Whatever else.
  void Append(absl::string_view markup) { absl::StrAppend(&body_, markup); }

  // The <svg> element.
  std::string Finish(double height) &&;

 private:
  std::string description_, body_;
};

// A coordinate with one decimal at most: "12.3", "7".
std::string Coordinate(double x);

// About how wide a text of so many characters is.
double TextWidth(size_t characters);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_SVG_H_
