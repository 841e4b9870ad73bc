#include "bitgrad/report/html_page.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/style.h"

namespace bitgrad::report {

HtmlPage::HtmlPage(absl::string_view title) {
  html_ = absl::StrCat(
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n",
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>", Escaped(title),
      "</title>\n<style>\n", kStyle, "</style>\n</head>\n<body>\n<main>\n");
}

void HtmlPage::BeginSection(absl::string_view heading) { heading_ = std::string(heading); }

void HtmlPage::Begin(bool side_by_side) {
  if (in_columns_ && (!side_by_side || !heading_.empty())) {
    html_ += "</div>\n";
    in_columns_ = false;
  }
  if (!heading_.empty()) {
    absl::StrAppend(&html_, in_section_ ? "</section>\n" : "", "<section>\n<h2>", Escaped(heading_), "</h2>\n");
    heading_.clear();
    in_section_ = true;
  }
  if (side_by_side && !in_columns_) {
    html_ += "<div class=\"columns\">\n";
    in_columns_ = true;
  }
}

void HtmlPage::Paragraph(absl::string_view text) { Markup(absl::StrCat("<p>", Escaped(text), "</p>\n")); }

void HtmlPage::Preformatted(absl::string_view text) { Markup(absl::StrCat("<pre>", Escaped(text), "</pre>\n")); }

void HtmlPage::Markup(absl::string_view markup) {
  Begin(/*side_by_side=*/false);
  absl::StrAppend(&html_, markup);
}

void HtmlPage::Figure(absl::string_view name, absl::string_view title, absl::string_view markup,
                      absl::string_view caption, Width width) {
  Begin(/*side_by_side=*/width == Width::kColumn);
  std::string id = "figure-";
  for (const char c : name) id.push_back(absl::ascii_isalnum(c) ? absl::ascii_tolower(c) : '-');
  std::string unique = id;
  for (int number = 2; !ids_.insert(unique).second; ++number) unique = absl::StrCat(id, "-", number);
  absl::StrAppend(&html_, "<figure id=\"", unique, "\"><h3>", Escaped(title), "</h3>\n", markup, "<figcaption>",
                  Escaped(caption), "</figcaption></figure>\n");
}

std::string HtmlPage::Finish() && {
  heading_.clear();
  Begin(/*side_by_side=*/false);
  absl::StrAppend(&html_, in_section_ ? "</section>\n" : "", "</main>\n</body>\n</html>\n");
  return std::move(html_);
}

}  // namespace bitgrad::report
