#include "bitgrad/report/line_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/report/axis.h"
#include "bitgrad/report/frame.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/svg.h"

namespace bitgrad::report {
namespace {

constexpr double kHeight = 190;   // of the frame
constexpr size_t kMostDots = 40;  // of a curve
constexpr size_t kMostAllDots = 400;

struct Point {
  double x, y;
};

// The points of the curve, a NaN where it is broken.
std::vector<Point> PointsOf(const Series& series) {
  std::vector<Point> points;
  const size_t count = std::min(series.x.size(), series.y.size());
  const size_t stretches = count <= LinePlot::kMostPoints ? count : LinePlot::kMostPoints / 2;
  for (size_t stretch = 0; stretch < stretches; ++stretch) {
    const size_t begin = count * stretch / stretches, end = count * (stretch + 1) / stretches;
    size_t least = end, most = end;
    bool broken = false;
    for (size_t i = begin; i < end; ++i) {
      if (!std::isfinite(series.y[i])) {
        broken = true;
        continue;
      }
      if (least == end || series.y[i] < series.y[least]) least = i;
      if (most == end || series.y[i] > series.y[most]) most = i;
    }
    if (broken) points.push_back({series.x[begin], std::numeric_limits<double>::quiet_NaN()});
    if (least == end) continue;
    const auto [first, second] = std::minmax(least, most);
    points.push_back({series.x[first], series.y[first]});
    if (second != first) points.push_back({series.x[second], series.y[second]});
  }
  return points;
}

void DrawSeries(const Series& series, const Color& color, const LinePlot& plot, const Frame& frame, bool with_dots,
                SvgCanvas& canvas) {
  const std::vector<Point> points = PointsOf(series);
  std::string path;
  std::vector<size_t> alone;  // what a path does not show
  for (size_t i = 0; i < points.size(); ++i) {
    if (std::isnan(points[i].y)) continue;
    const bool begins = i == 0 || std::isnan(points[i - 1].y);
    if (begins && (i + 1 == points.size() || std::isnan(points[i + 1].y))) alone.push_back(i);
    absl::StrAppend(&path, begins ? "M" : "L", Coordinate(frame.X(points[i].x)), " ", Coordinate(frame.Y(points[i].y)));
  }
  if (path.empty()) return;
  canvas.Stroke(path, color);
  const auto dot = [&](const Point& point) {
    canvas.Dot(frame.X(point.x), frame.Y(point.y), 2.2, color,
               absl::StrCat(series.name, ", ", plot.x_label, " ", NumberText(point.x), ": ", NumberText(point.y)));
  };
  if (with_dots) {
    for (const Point& point : points) {
      if (!std::isnan(point.y)) dot(point);
    }
  } else {
    for (const size_t i : alone) dot(points[i]);
  }
}

bool HasNumber(const Series& series) {
  return absl::c_any_of(series.y, [](double y) { return std::isfinite(y); });
}

}  // namespace

bool HasData(const LinePlot& plot) { return absl::c_any_of(plot.series, HasNumber); }

std::string ToSvg(const LinePlot& plot) {
  std::vector<double> all_x, all_y;
  std::vector<size_t> shown;
  size_t longest = 0;
  for (size_t i = 0; i < plot.series.size(); ++i) {
    const Series& series = plot.series[i];
    if (!HasNumber(series)) continue;
    shown.push_back(i);
    all_x.insert(all_x.end(), series.x.begin(), series.x.end());
    all_y.insert(all_y.end(), series.y.begin(), series.y.end());
    longest = std::max(longest, series.x.size());
  }
  const Frame frame(Axis::For(all_x, {.whole = plot.whole_x, .fitting = true}),
                    Axis::For(all_y, {.may_be_logarithmic = plot.may_be_logarithmic, .from_zero = plot.from_zero}),
                    kHeight);
  SvgCanvas canvas(plot.description);
  frame.Draw(plot.x_label, plot.y_label, canvas);
  if (plot.mark.has_value()) {
    const double x = frame.X(plot.mark->x);
    // The label stands where there is more room.
    const bool left = x > (frame.left() + frame.right()) / 2;
    canvas.Stroke(absl::StrCat("M", Coordinate(x), " ", Coordinate(frame.top()), "V", Coordinate(frame.bottom())),
                  {"#777777", "axis", ""}, /*dashed=*/true);
    canvas.Text(x + (left ? -4 : 4), frame.top() - 7, Escaped(plot.mark->label),
                {.anchor = left ? Anchor::kEnd : Anchor::kStart, .muted = true});
  }
  const bool with_dots = longest <= kMostDots && longest * shown.size() <= kMostAllDots;
  std::vector<std::pair<std::string, Color>> entries;
  for (const size_t i : shown) {
    const Color color = ColorOf(i, plot.series.size());
    DrawSeries(plot.series[i], color, plot, frame, with_dots, canvas);
    entries.emplace_back(plot.series[i].name, color);
  }
  double end = frame.end();
  if (entries.size() > 1) end = canvas.Legend(frame.left(), end, frame.right() - frame.left(), entries);
  return std::move(canvas).Finish(end);
}

}  // namespace bitgrad::report
