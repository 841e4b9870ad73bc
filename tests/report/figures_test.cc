// What figures and pages are made of: escaped text, axes with round ticks, pictures, the reader that tests use.

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "bitgrad/data/decode_image.h"
#include "bitgrad/report/axis.h"
#include "bitgrad/report/bar_plot.h"
#include "bitgrad/report/html_page.h"
#include "bitgrad/report/line_plot.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/picture_element.h"
#include "bitgrad/report/svg.h"
#include "bitgrad/tests/report/xml_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad::report {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::vector<std::string> LabelsOf(const Axis& axis) {
  std::vector<std::string> labels;
  double last = -1;
  for (const Tick& tick : axis.ticks()) {
    EXPECT_GE(tick.place, 0);
    EXPECT_LE(tick.place, 1);
    EXPECT_GT(tick.place, last);
    last = tick.place;
    labels.push_back(tick.markup);
  }
  return labels;
}

TEST(MarkupTest, EscapesWhatXmlCannotHave) {
  EXPECT_EQ(Escaped("a<b> & \"c\" 'd' \xC3\xA9"), "a&lt;b&gt; &amp; &quot;c&quot; 'd' \xC3\xA9");
  EXPECT_EQ(Escaped(absl::string_view("\0\t\x1F\x7F\xC0\xED\xA0\x80", 8)),
            "\xEF\xBF\xBD\t\xEF\xBF\xBD\x7F\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(Shortened("abcd", 4), "abcd");
  EXPECT_EQ(Shortened("\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9", 4), "\xC3\xA9\xC3\xA9\xC3\xA9\xE2\x80\xA6");
}

TEST(AxisTest, LinearTicksAreRound) {
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{0.3, 9.7}, {})), ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{1, 12}, {.whole = true, .fitting = true})),
              ElementsAre("5", "10"));
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{1, 3}, {.whole = true, .fitting = true})),
              ElementsAre("1", "2", "3"));
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{4}, {.whole = true, .fitting = true})),
              ElementsAre("3", "4", "5"));
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{-0.02, 0.03}, {})), ElementsAre("\xE2\x88\x92"
                                                                                     "0.02",
                                                                                     "\xE2\x88\x92"
                                                                                     "0.01",
                                                                                     "0", "0.01", "0.02", "0.03"));
  EXPECT_THAT(LabelsOf(Axis::For(std::vector<double>{3, 5}, {.from_zero = true})),
              ElementsAre("0", "1", "2", "3", "4", "5"));
}

TEST(AxisTest, WideNumbersAreLogarithmic) {
  const Axis axis = Axis::For(std::vector<double>{1e-4, 3e-3, 0.2}, {.may_be_logarithmic = true});
  ASSERT_TRUE(axis.logarithmic());
  EXPECT_THAT(LabelsOf(axis), ElementsAre("10<tspan dy=\"-0.4em\" font-size=\"75%\">\xE2\x88\x92"
                                          "4</tspan>",
                                          "0.001", "0.01", "0.1"));
  EXPECT_NEAR(axis.Place(1e-2) - axis.Place(1e-3), axis.Place(1e-1) - axis.Place(1e-2), 1e-12);
  EXPECT_FALSE(Axis::For(std::vector<double>{1, 29}, {.may_be_logarithmic = true}).logarithmic());
  EXPECT_FALSE(Axis::For(std::vector<double>{-1, 1e-3, 30}, {.may_be_logarithmic = true}).logarithmic());
  EXPECT_FALSE(Axis::For(std::vector<double>{1e-3, 30}, {}).logarithmic());
  // Zero has a tick of its own at the lower end, below all others.
  const Axis zero = Axis::For(std::vector<double>{0, 0.01, 10}, {.may_be_logarithmic = true});
  ASSERT_TRUE(zero.logarithmic());
  EXPECT_EQ(zero.Place(0), 0);
  EXPECT_GT(zero.Place(0.01), 0.05);
  EXPECT_EQ(LabelsOf(zero).front(), "0");
}

TEST(AxisTest, AnyNumbers) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr double kMost = std::numeric_limits<double>::max();
  const std::vector<std::vector<double>> cases = {{},
                                                  {NAN},
                                                  {kInfinity, -kInfinity},
                                                  {0},
                                                  {5},
                                                  {-5},
                                                  {1e-320},
                                                  {kMost, -kMost},
                                                  {kMost},
                                                  {1e12},
                                                  {1e12, 1e12 + 1},
                                                  {NAN, 1, 2},
                                                  {1e-300, kMost}};
  for (const std::vector<double>& numbers : cases) {
    for (const bool logarithmic : {false, true}) {
      for (const bool whole : {false, true}) {
        const Axis axis = Axis::For(numbers, {.may_be_logarithmic = logarithmic, .whole = whole});
        const std::vector<std::string> labels = LabelsOf(axis);
        EXPECT_LE(labels.size(), 12u);
        for (const double number : numbers) {
          if (!std::isfinite(number)) continue;
          EXPECT_GE(axis.Place(number), 0);
          EXPECT_LE(axis.Place(number), 1);
        }
      }
    }
  }
}

TEST(SvgTest, CoordinatesAreShort) {
  EXPECT_EQ(Coordinate(12.34), "12.3");
  EXPECT_EQ(Coordinate(7), "7");
  EXPECT_EQ(Coordinate(-0.01), "0");
}

TEST(SvgTest, LegendsDoNotOverlap) {
  SvgCanvas canvas("");
  std::vector<std::pair<std::string, Color>> entries;
  for (int i = 0; i < 23; ++i) entries.emplace_back("stage1.block2/conv", ColorOf(static_cast<size_t>(i), 23));
  const double end = canvas.Legend(54, 100, 354, entries);
  const absl::StatusOr<XmlElement> svg = ParseXml(std::move(canvas).Finish(end));
  ASSERT_TRUE(svg.ok()) << svg.status();
  const std::vector<const XmlElement*> texts = svg->All("text");
  ASSERT_THAT(texts, SizeIs(23));
  for (size_t i = 0; i < texts.size(); ++i) {
    const double x = std::stod((*texts[i])["x"]), y = std::stod((*texts[i])["y"]);
    EXPECT_LE(x + TextWidth(18), 54 + 354);
    EXPECT_LE(y, end);
    for (size_t k = 0; k < i; ++k) {
      const double other_x = std::stod((*texts[k])["x"]), other_y = std::stod((*texts[k])["y"]);
      EXPECT_TRUE(std::fabs(x - other_x) >= TextWidth(18) || std::fabs(y - other_y) >= kFontSize) << i << " " << k;
    }
  }
}

TEST(LinePlotTest, CurvesBreakWhereThereIsNoNumber) {
  LinePlot plot = {.x_label = "epoch", .y_label = "y"};
  plot.series.push_back({.name = "a", .x = {1, 2, 3, 4, 5}, .y = {1, 2, NAN, 4, 5}});
  ASSERT_TRUE(HasData(plot));
  const absl::StatusOr<XmlElement> svg = ParseXml(ToSvg(plot));
  ASSERT_TRUE(svg.ok()) << svg.status();
  EXPECT_THAT(svg->All("circle"), SizeIs(4));
  std::string curve;
  for (const XmlElement* path : svg->All("path")) {
    if ((*path)["class"] == "l0") curve = (*path)["d"];
  }
  EXPECT_EQ(std::count(curve.begin(), curve.end(), 'M'), 2);
  EXPECT_EQ(std::count(curve.begin(), curve.end(), 'L'), 2);
  plot.series[0].y = {NAN, NAN, INFINITY, NAN, NAN};
  EXPECT_FALSE(HasData(plot));
}

TEST(BarPlotTest, NegativeValuesGoToTheLeft) {
  const BarPlot plot = {.x_label = "x", .rows = {"a"}, .parts = {{"up", {3}}, {"down", {-1}}, {"none", {0}}}};
  const absl::StatusOr<XmlElement> svg = ParseXml(ToSvg(plot));
  ASSERT_TRUE(svg.ok()) << svg.status();
  const std::vector<const XmlElement*> bars = svg->All("rect");
  ASSERT_THAT(bars, SizeIs(2));
  const auto number = [](const XmlElement& bar, const char* name) { return std::stod(bar[name]); };
  EXPECT_NEAR(number(*bars[1], "x") + number(*bars[1], "width"), number(*bars[0], "x"), 0.11);
  EXPECT_NEAR(number(*bars[0], "width"), 3 * number(*bars[1], "width"), 0.3);
}

TEST(PictureTest, PixelsComeBack) {
  diagnostics::Picture picture;
  picture.set_height(2);
  picture.set_width(3);
  picture.set_channels(3);
  picture.set_pixels("abcdefghijklmnopqr");
  const absl::StatusOr<XmlElement> element = ParseXml(PictureElement(picture, "a \"<b>"));
  ASSERT_TRUE(element.ok()) << element.status();
  EXPECT_EQ((*element)["alt"], "a \"<b>");
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape((*element)["src"].substr(std::string("data:image/png;base64,").size()), &bytes));
  const auto decoded = DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(std::string(decoded->pixels.begin(), decoded->pixels.end()), picture.pixels());
  picture.set_channels(2);
  EXPECT_EQ(PictureElement(picture, ""), "");
}

TEST(PictureTest, LargePicturesBecomeSmaller) {
  diagnostics::Picture picture;
  picture.set_height(3 * kLargestSide);
  picture.set_width(2 * kLargestSide);
  picture.set_channels(1);
  picture.set_pixels(std::string(6 * kLargestSide * kLargestSide, '\x64'));
  for (int i = 0; i < 3; ++i) (*picture.mutable_pixels())[static_cast<size_t>(i)] = '\x67';
  const absl::StatusOr<XmlElement> element = ParseXml(PictureElement(picture, ""));
  ASSERT_TRUE(element.ok()) << element.status();
  std::string bytes;
  ASSERT_TRUE(absl::Base64Unescape((*element)["src"].substr(std::string("data:image/png;base64,").size()), &bytes));
  const auto decoded = DecodeImage({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(decoded.ok()) << decoded.status();
  EXPECT_EQ(decoded->shape.height, kLargestSide);
  EXPECT_EQ(decoded->shape.width, 2 * kLargestSide / 3);
  EXPECT_EQ(decoded->pixels[0], 0x65);  // the mean of 3 pixels of 0x67 and 6 of 0x64
  EXPECT_EQ(decoded->pixels[3], 0x64);
}

TEST(HtmlPageTest, EmptySectionsAreNotShownAndIdsAreUnique) {
  HtmlPage page("title");
  page.BeginSection("empty");
  page.BeginSection("full");
  page.Figure("a/b", "", "", "");
  page.Figure("a-b", "", "", "");
  page.Figure("a b", "", "", "", HtmlPage::Width::kPage);
  page.BeginSection("empty, too");
  EXPECT_EQ(page.figures(), 3);
  const absl::StatusOr<XmlElement> html = ParseXml(std::move(page).Finish());
  ASSERT_TRUE(html.ok()) << html.status();
  ASSERT_THAT(html->All("h2"), SizeIs(1));
  EXPECT_EQ(html->All("h2")[0]->text, "full");
  for (const char* id : {"figure-a-b", "figure-a-b-2", "figure-a-b-3"}) EXPECT_NE(html->Find(id), nullptr) << id;
}

// The reader that these tests trust refuses what is not well formed.
TEST(XmlTest, IsStrict) {
  EXPECT_TRUE(ParseXml("<a b=\"&lt;\">x<c/> &amp;</a>").ok());
  for (const char* document : {"", "text", "<a>", "<a></b>", "<a><b></a></b>", "<a b=c/>", "<a b=\"1\" b=\"2\"/>",
                               "<a b/>", "<a>&nbsp;</a>", "<a>a & b</a>", "<a>a < b</a>", "<a/><b/>", "<a>\x01</a>",
                               "<a>\xFF</a>", "<a b=\"<\"/>", "<br>", "<a b=\"1/>"}) {
    EXPECT_FALSE(ParseXml(document).ok()) << document;
  }
}

}  // namespace
}  // namespace bitgrad::report
