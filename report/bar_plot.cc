#include "bitgrad/report/bar_plot.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/report/axis.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/svg.h"

namespace bitgrad::report {
namespace {

constexpr double kTop = 8, kRow = 18, kBar = 12;
constexpr size_t kMostCharacters = 20;

bool IsDrawn(double value) { return std::isfinite(value) && value != 0; }

}  // namespace

std::string ToSvg(const BarPlot& plot) {
  size_t longest = 1;
  for (const std::string& row : plot.rows) longest = std::max(longest, CharactersOf(row));
  const double left = TextWidth(std::min(longest, kMostCharacters)) + 14, right = kFigureWidth - 14;
  std::vector<double> ends = {0};
  for (size_t row = 0; row < plot.rows.size(); ++row) {
    double positive = 0, negative = 0;
    for (const BarPlot::Part& part : plot.parts) {
      if (IsDrawn(part.values[row])) (part.values[row] > 0 ? positive : negative) += part.values[row];
    }
    ends.push_back(positive);
    ends.push_back(negative);
  }
  const Axis axis = Axis::For(ends, {.from_zero = true});
  const auto x_of = [&](double value) { return left + axis.Place(value) * (right - left); };
  const double bottom = kTop + kRow * static_cast<double>(plot.rows.size());
  SvgCanvas canvas(plot.description);
  for (const Tick& tick : axis.ticks()) {
    const double x = left + tick.place * (right - left);
    canvas.Line(x, kTop, x, bottom, /*grid=*/true);
    canvas.Text(x, bottom + 12, tick.markup, {.anchor = Anchor::kMiddle});
  }
  for (size_t row = 0; row < plot.rows.size(); ++row) {
    const double top = kTop + kRow * static_cast<double>(row) + (kRow - kBar) / 2;
    const std::string shown = Shortened(plot.rows[row], kMostCharacters);
    canvas.Text(left - 6, top + kBar / 2, Escaped(shown),
                {.anchor = Anchor::kEnd, .tooltip = shown == plot.rows[row] ? "" : plot.rows[row]});
    double positive = 0, negative = 0;
    for (size_t i = 0; i < plot.parts.size(); ++i) {
      const double value = plot.parts[i].values[row];
      if (!IsDrawn(value)) continue;
      double& end = value > 0 ? positive : negative;
      const double from = x_of(std::min(end, end + value)), to = x_of(std::max(end, end + value));
      end += value;
      canvas.Rectangle(from, top, std::max(to - from, 0.5), kBar, ColorOf(i, plot.parts.size()), 1,
                       absl::StrCat(plot.rows[row], ", ", plot.parts[i].name, ": ", NumberText(value), " ", plot.unit));
    }
  }
  canvas.Line(x_of(0), kTop, x_of(0), bottom);
  canvas.Text((left + right) / 2, bottom + 27, Escaped(plot.x_label), {.anchor = Anchor::kMiddle});
  std::vector<std::pair<std::string, Color>> entries;
  for (size_t i = 0; i < plot.parts.size(); ++i)
    entries.emplace_back(plot.parts[i].name, ColorOf(i, plot.parts.size()));
  double end = bottom + 38;
  if (entries.size() > 1) end = canvas.Legend(left, end, right - left, entries);
  return std::move(canvas).Finish(end);
}

}  // namespace bitgrad::report
