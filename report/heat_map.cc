#include "bitgrad/report/heat_map.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/svg.h"

namespace bitgrad::report {
namespace {

constexpr double kSide = 290;  // of the matrix, at most
constexpr size_t kMostCharacters = 12;
// Of cells without a name of their own, so many shades are told apart.
constexpr int kShades = 8;

// How dark a cell is. The root shows few mistakes, too.
double ShadeOf(int64_t count, int64_t sum) { return std::sqrt(static_cast<double>(count) / static_cast<double>(sum)); }

int64_t SumOf(absl::Span<const int64_t> row) {
  int64_t sum = 0;
  for (const int64_t count : row) sum += count;
  return sum;
}

void DrawCells(const HeatMap& map, double left, double top, double cell, SvgCanvas& canvas) {
  const size_t size = map.names.size();
  const Color color = ColorOf(0, 1);
  std::vector<std::string> paths(kShades + 1);
  for (size_t row = 0; row < size; ++row) {
    const auto counts = absl::MakeConstSpan(map.counts).subspan(row * size, size);
    const int64_t sum = SumOf(counts);
    for (size_t column = 0; column < size; ++column) {
      if (counts[column] <= 0) continue;
      const double x = left + cell * static_cast<double>(column), y = top + cell * static_cast<double>(row);
      const double shade = ShadeOf(counts[column], sum);
      if (size > HeatMap::kMostNamed) {
        absl::StrAppend(&paths[static_cast<size_t>(std::ceil(shade * kShades))], "M", Coordinate(x), " ", Coordinate(y),
                        "h", Coordinate(cell), "v", Coordinate(cell), "h", Coordinate(-cell), "z");
        continue;
      }
      canvas.Rectangle(
          x, y, cell, cell, color, shade,
          absl::StrCat(map.names[row], " taken for ", map.names[column], ": ", counts[column], " of ", sum));
      if (size > HeatMap::kMostCounts) continue;
      // White on dark shades, in either theme.
      canvas.Append(absl::StrCat("<text x=\"", Coordinate(x + cell / 2), "\" y=\"", Coordinate(y + cell / 2 + 3),
                                 "\" text-anchor=\"middle\" font-size=\"", counts[column] < 10000 ? 8.5 : 7, "\"",
                                 shade > 0.6 ? " class=\"ondark\" fill=\"#FFFFFF\"" : "", " pointer-events=\"none\">",
                                 counts[column], "</text>\n"));
    }
  }
  for (int shade = 1; shade <= kShades; ++shade) {
    const std::string& path = paths[static_cast<size_t>(shade)];
    if (!path.empty()) canvas.Fill(path, color, static_cast<double>(shade) / kShades);
  }
}

}  // namespace

std::string ToSvg(const HeatMap& map) {
  const size_t size = map.names.size();
  const bool named = size <= HeatMap::kMostNamed;
  size_t longest = 1;
  for (const std::string& name : map.names) longest = std::max(longest, CharactersOf(name));
  const double names = named ? TextWidth(std::min(longest, kMostCharacters)) + 8 : 8;
  const double left = 20 + names, top = 8;
  const double side = std::min(kSide, kFigureWidth - left - 12), cell = side / static_cast<double>(size);
  SvgCanvas canvas(map.description);
  DrawCells(map, left, top, cell, canvas);
  canvas.Append(absl::StrCat("<rect x=\"", Coordinate(left), "\" y=\"", Coordinate(top), "\" width=\"",
                             Coordinate(side), "\" height=\"", Coordinate(side),
                             "\" fill=\"none\" class=\"axis\" stroke=\"#777777\" stroke-width=\"0.8\"/>\n"));
  double end = top + side + 6;
  // Names stand upright below the columns where they do not fit across.
  const bool upright = TextWidth(std::min(longest, kMostCharacters)) > cell - 4;
  if (named) {
    for (size_t i = 0; i < size; ++i) {
      const double middle = cell * (static_cast<double>(i) + 0.5);
      const std::string shown = Shortened(map.names[i], kMostCharacters);
      const std::string tooltip = shown == map.names[i] ? "" : map.names[i];
      canvas.Text(left - 6, top + middle, Escaped(shown), {.anchor = Anchor::kEnd, .tooltip = tooltip});
      canvas.Text(left + middle, end + (upright ? 0 : 6), Escaped(shown),
                  {.anchor = upright ? Anchor::kEnd : Anchor::kMiddle, .rotated = upright, .tooltip = tooltip});
    }
    end += upright ? names : 14;
  }
  canvas.Text(left + side / 2, end + 10, Escaped(map.x_label), {.anchor = Anchor::kMiddle});
  canvas.Text(8, top + side / 2, Escaped(map.y_label), {.anchor = Anchor::kMiddle, .rotated = true});
  return std::move(canvas).Finish(end + 22);
}

}  // namespace bitgrad::report
