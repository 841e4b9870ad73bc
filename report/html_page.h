// HtmlPage: a page that is one file and loads nothing: text, figures and pictures are all in it. It is HTML5 that an
// XML parser reads, too.
//
//   HtmlPage page("mnist_bnn_mlp");
//   page.BeginSection("Progress");
//   page.Figure("loss", "Loss", ToSvg(plot), "What training makes small.");
//   const std::string html = std::move(page).Finish();

#ifndef BITGRAD_REPORT_HTML_PAGE_H_
#define BITGRAD_REPORT_HTML_PAGE_H_

#include <set>
#include <string>

#include "absl/strings/string_view.h"

namespace bitgrad::report {

class HtmlPage {
 public:
  explicit HtmlPage(absl::string_view title);

  // A section that gets nothing until the next one begins is not shown.
  void BeginSection(absl::string_view heading);

  // Texts are escaped; `markup` is not.
  void Paragraph(absl::string_view text);
  void Preformatted(absl::string_view text);
  void Markup(absl::string_view markup);

  // Figures of a section that follow each other stand side by side where there is room, wide ones for themselves. The
  // element's id is "figure-NAME", with '-' for what is neither letter nor digit, and a number where there is one of
  // that id already.
  enum class Width { kColumn, kPage };
  void Figure(absl::string_view name, absl::string_view title, absl::string_view markup, absl::string_view caption,
              Width width = Width::kColumn);
  int figures() const { return static_cast<int>(ids_.size()); }

  std::string Finish() &&;

 private:
  // Writes the heading, if it is still to be written, and ends or begins the figures that stand side by side.
  void Begin(bool side_by_side);

  std::string html_;
  std::string heading_;  // of the section that has nothing yet
  bool in_section_ = false, in_columns_ = false;
  std::set<std::string> ids_;
};

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_HTML_PAGE_H_
