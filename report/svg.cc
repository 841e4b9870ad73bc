#include "bitgrad/report/svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "bitgrad/report/markup.h"

namespace bitgrad::report {
namespace {

// Okabe and Ito's palette without black and without yellow, which is hard to see on white; grey is the seventh.
constexpr const char* kPalette[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F7F7F"};
constexpr size_t kPaletteSize = std::size(kPalette);

struct Rgb {
  double red, green, blue;
};
// Ends and middle of the scale, in order.
constexpr Rgb kScale[] = {{0, 114, 178}, {0, 158, 115}, {230, 159, 0}, {213, 94, 0}, {204, 121, 167}};

std::string OnScale(double place) {
  const double at = place * (std::size(kScale) - 1);
  const size_t i = std::min(static_cast<size_t>(at), std::size(kScale) - 2);
  const double t = at - static_cast<double>(i);
  const auto mix = [&](double Rgb::*part) {
    return static_cast<int>(std::lround(kScale[i].*part * (1 - t) + kScale[i + 1].*part * t));
  };
  return absl::StrFormat("#%02X%02X%02X", mix(&Rgb::red), mix(&Rgb::green), mix(&Rgb::blue));
}

std::string Attribute(absl::string_view name, absl::string_view value) {
  return value.empty() ? "" : absl::StrCat(" ", name, "=\"", value, "\"");
}

// The end of an element that is begun: with a tooltip, or at once.
std::string End(absl::string_view element, absl::string_view tooltip) {
  if (tooltip.empty()) return "/>\n";
  return absl::StrCat("><title>", Escaped(tooltip), "</title></", element, ">\n");
}

}  // namespace

Color ColorOf(size_t i, size_t n) {
  if (n <= kPaletteSize) return {kPalette[i], absl::StrCat("l", i), absl::StrCat("f", i)};
  return {OnScale(static_cast<double>(i) / static_cast<double>(n - 1)), "", ""};
}

std::string Coordinate(double x) {
  std::string text = absl::StrFormat("%.1f", x);
  absl::string_view shorter = text;
  absl::ConsumeSuffix(&shorter, ".0");
  return shorter == "-0" ? "0" : std::string(shorter);
}

double TextWidth(size_t characters) { return 0.6 * kFontSize * static_cast<double>(characters); }

SvgCanvas::SvgCanvas(absl::string_view description) : description_(Escaped(description)) {}

void SvgCanvas::Line(double x1, double y1, double x2, double y2, bool grid) {
  absl::StrAppend(&body_, "<path d=\"M", Coordinate(x1), " ", Coordinate(y1), "L", Coordinate(x2), " ", Coordinate(y2),
                  "\" class=\"", grid ? "grid" : "axis", "\" stroke=\"", grid ? "#DDDDDD" : "#777777",
                  "\" stroke-width=\"", grid ? "0.6" : "0.8", "\"/>\n");
}

void SvgCanvas::Text(double x, double y, absl::string_view markup, const TextOptions& options) {
  const char* const anchors[] = {"", "middle", "end"};
  // The x-height's half lies above the baseline.
  const std::string place =
      options.rotated ? absl::StrCat(" transform=\"translate(", Coordinate(x + 0.33 * kFontSize), " ", Coordinate(y),
                                     ") rotate(-90)\"")
                      : absl::StrCat(" x=\"", Coordinate(x), "\" y=\"", Coordinate(y + 0.33 * kFontSize), "\"");
  absl::StrAppend(&body_, "<text", place, Attribute("text-anchor", anchors[static_cast<int>(options.anchor)]),
                  options.muted ? " class=\"muted\" fill=\"#555555\"" : "", ">", markup,
                  options.tooltip.empty() ? "" : absl::StrCat("<title>", Escaped(options.tooltip), "</title>"),
                  "</text>\n");
}

void SvgCanvas::Stroke(absl::string_view path, const Color& color, bool dashed) {
  absl::StrAppend(&body_, "<path d=\"", path, "\" fill=\"none\"", Attribute("class", color.line_class), " stroke=\"",
                  color.hex, "\" stroke-width=\"1.3\" stroke-linejoin=\"round\" stroke-linecap=\"round\"",
                  dashed ? " stroke-dasharray=\"4 3\"" : "", "/>\n");
}

void SvgCanvas::Fill(absl::string_view path, const Color& color, double opacity, absl::string_view tooltip) {
  absl::StrAppend(&body_, "<path d=\"", path, "\"", Attribute("class", color.fill_class), " fill=\"", color.hex, "\"",
                  opacity < 1 ? absl::StrFormat(" fill-opacity=\"%.3g\"", opacity) : "", End("path", tooltip));
}

void SvgCanvas::Rectangle(double x, double y, double width, double height, const Color& color, double opacity,
                          absl::string_view tooltip) {
  absl::StrAppend(&body_, "<rect x=\"", Coordinate(x), "\" y=\"", Coordinate(y), "\" width=\"", Coordinate(width),
                  "\" height=\"", Coordinate(height), "\"", Attribute("class", color.fill_class), " fill=\"", color.hex,
                  "\"", opacity < 1 ? absl::StrFormat(" fill-opacity=\"%.3g\"", opacity) : "", End("rect", tooltip));
}

void SvgCanvas::Dot(double x, double y, double radius, const Color& color, absl::string_view tooltip) {
  absl::StrAppend(&body_, "<circle cx=\"", Coordinate(x), "\" cy=\"", Coordinate(y), "\" r=\"", Coordinate(radius),
                  "\"", Attribute("class", color.fill_class), " fill=\"", color.hex, "\"", End("circle", tooltip));
}

double SvgCanvas::Legend(double x, double y, double width, absl::Span<const std::pair<std::string, Color>> entries) {
  constexpr double kSwatch = 16, kGap = 10, kRow = 15;
  constexpr size_t kMostCharacters = 40;
  size_t longest = 1;
  for (const auto& [name, color] : entries) longest = std::max(longest, CharactersOf(Shortened(name, kMostCharacters)));
  const double column = kSwatch + TextWidth(longest) + kGap;
  const size_t fitting = std::max<size_t>(1, static_cast<size_t>((width + kGap) / column));
  const size_t columns = std::min(fitting, entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const auto& [name, color] = entries[i];
    const double left = x + column * static_cast<double>(i % columns);
    const double middle = y + kRow * (static_cast<double>(i / columns) + 0.5);
    Stroke(absl::StrCat("M", Coordinate(left), " ", Coordinate(middle), "h", Coordinate(kSwatch - 5)), color);
    const std::string shown = Shortened(name, kMostCharacters);
    Text(left + kSwatch, middle, Escaped(shown), {.tooltip = shown == name ? "" : name});
  }
  return y + kRow * std::ceil(static_cast<double>(entries.size()) / static_cast<double>(columns)) + 4;
}

std::string SvgCanvas::Finish(double height) && {
  return absl::StrCat("<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 ", Coordinate(kFigureWidth), " ",
                      Coordinate(height), "\" role=\"img\" aria-label=\"", description_,
                      "\" font-family=\"Helvetica, Arial, 'DejaVu Sans', sans-serif\" font-size=\"",
                      Coordinate(kFontSize), "\">\n", body_, "</svg>\n");
}

}  // namespace bitgrad::report
