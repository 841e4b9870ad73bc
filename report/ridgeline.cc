#include "bitgrad/report/ridgeline.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/report/axis.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/svg.h"

namespace bitgrad::report {
namespace {

constexpr double kTop = 18, kRow = 20, kHighest = 30;
constexpr double kLeft = 44, kRight = kFigureWidth - 14;

bool IsDrawn(const Ridgeline::Row& row) {
  return std::isfinite(row.low) && std::isfinite(row.high) && row.low < row.high &&
         std::any_of(row.counts.begin(), row.counts.end(), [](int64_t count) { return count > 0; });
}

// The roots of the densities of the bins.
std::vector<double> HeightsOf(const Ridgeline::Row& row) {
  double sum = 0;
  for (const int64_t count : row.counts) sum += static_cast<double>(count);
  const double width = (row.high - row.low) / static_cast<double>(row.counts.size());
  std::vector<double> heights;
  for (const int64_t count : row.counts) heights.push_back(std::sqrt(static_cast<double>(count) / sum / width));
  return heights;
}

std::vector<const Ridgeline::Row*> RowsOf(const Ridgeline& plot) {
  std::vector<const Ridgeline::Row*> all, shown;
  for (const Ridgeline::Row& row : plot.rows) {
    if (IsDrawn(row)) all.push_back(&row);
  }
  const size_t count = std::min(all.size(), Ridgeline::kMostRows);
  for (size_t i = 0; i < count; ++i) shown.push_back(all[count == 1 ? 0 : i * (all.size() - 1) / (count - 1)]);
  return shown;
}

}  // namespace

bool HasData(const Ridgeline& plot) { return std::any_of(plot.rows.begin(), plot.rows.end(), IsDrawn); }

std::string ToSvg(const Ridgeline& plot) {
  const std::vector<const Ridgeline::Row*> rows = RowsOf(plot);
  std::vector<double> ends;
  std::vector<std::vector<double>> heights;
  double highest = 0;
  for (const Ridgeline::Row* row : rows) {
    ends.push_back(row->low);
    ends.push_back(row->high);
    heights.push_back(HeightsOf(*row));
    highest = std::max(highest, *std::max_element(heights.back().begin(), heights.back().end()));
  }
  const Axis axis = Axis::For(ends, {.fitting = true});
  const auto x_of = [&](double value) { return kLeft + axis.Place(value) * (kRight - kLeft); };
  const double bottom = kTop + kRow * static_cast<double>(rows.size());
  SvgCanvas canvas(plot.description);
  for (const Tick& tick : axis.ticks()) {
    const double x = kLeft + tick.place * (kRight - kLeft);
    canvas.Line(x, kTop - 8, x, bottom, /*grid=*/true);
    canvas.Text(x, bottom + 10, tick.markup, {.anchor = Anchor::kMiddle});
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const Ridgeline::Row& row = *rows[i];
    const double base = kTop + kRow * static_cast<double>(i + 1);
    const double bin = (row.high - row.low) / static_cast<double>(row.counts.size());
    std::string outline = absl::StrCat("M", Coordinate(x_of(row.low)), " ", Coordinate(base));
    for (size_t k = 0; k < row.counts.size(); ++k) {
      absl::StrAppend(&outline, "V", Coordinate(base - heights[i][k] / highest * kHighest), "H",
                      Coordinate(x_of(row.low + bin * static_cast<double>(k + 1))));
    }
    absl::StrAppend(&outline, "V", Coordinate(base));
    // What lies behind is covered by the color of the page.
    canvas.Append(absl::StrCat("<path d=\"", outline, "z\" class=\"page\" fill=\"#FFFFFF\"/>\n"));
    const Color color = ColorOf(0, 1);
    canvas.Fill(outline + "z", color, 0.25, absl::StrCat(plot.y_label, " ", row.name));
    canvas.Append(absl::StrCat("<path d=\"", outline, "\" fill=\"none\" class=\"", color.line_class, "\" stroke=\"",
                               color.hex, "\" stroke-width=\"0.9\" stroke-linejoin=\"round\"/>\n"));
    canvas.Text(kLeft - 6, base - 4, Escaped(row.name), {.anchor = Anchor::kEnd});
  }
  canvas.Text((kLeft + kRight) / 2, bottom + 25, Escaped(plot.x_label), {.anchor = Anchor::kMiddle});
  canvas.Text(8, (kTop + bottom) / 2, Escaped(plot.y_label), {.anchor = Anchor::kMiddle, .rotated = true});
  return std::move(canvas).Finish(bottom + 36);
}

}  // namespace bitgrad::report
