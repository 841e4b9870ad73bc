// What a model answers: confusions, mistakes, samples; and what its first layer looks at.

#include <algorithm>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/report/heat_map.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/picture_element.h"
#include "bitgrad/report/sections.h"

namespace bitgrad::report {
namespace {

constexpr size_t kMostConfusions = 10;

std::string ClassName(const RunRecord& run, int64_t index) {
  if (index >= 0 && index < run.header.class_names_size()) return run.header.class_names(static_cast<int>(index));
  return absl::StrCat(index);
}

// The examples that tell of answers: those that validate or, where there are none, those of the test.
const char* ExamplesOf(const RunRecord& run) {
  return run.header.recipe().data().validation_examples() > 0 ? "validation examples" : "test examples";
}

void AddConfusion(const RunRecord& run, HtmlPage& page) {
  if (run.diagnostics.empty()) return;
  const diagnostics::Epoch& last = run.diagnostics.back();
  const int64_t classes = run.header.classes();
  if (classes <= 0 || int64_t{last.confusion_size()} != classes * classes) return;
  HeatMap map = {.description = "Which classes are taken for which",
                 .x_label = "answer",
                 .y_label = "right class",
                 .counts = {last.confusion().begin(), last.confusion().end()}};
  for (int64_t i = 0; i < classes; ++i) map.names.push_back(ClassName(run, i));
  page.Figure("confusion", "Confusion matrix", ToSvg(map),
              absl::StrCat("The ", ExamplesOf(run), " after epoch ", last.epoch(),
                           ". The shade is the root of the share of the row, so that rare confusions are seen."));

  std::vector<std::tuple<int64_t, int64_t, int64_t>> pairs;  // count, label, answer
  for (int64_t i = 0; i < classes * classes; ++i) {
    const int64_t count = last.confusion(static_cast<int>(i));
    if (count > 0 && i / classes != i % classes) pairs.emplace_back(count, i / classes, i % classes);
  }
  if (pairs.empty() || classes < 3) return;
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const auto& a, const auto& b) { return std::get<0>(a) > std::get<0>(b); });
  pairs.resize(std::min(pairs.size(), kMostConfusions));
  std::string table =
      "<div class=\"scroll\"><table><tr><th>right class</th><th>answer</th><th class=\"number\">examples</th></tr>\n";
  for (const auto& [count, label, answer] : pairs) {
    absl::StrAppend(&table, "<tr><td>", Escaped(ClassName(run, label)), "</td><td>", Escaped(ClassName(run, answer)),
                    "</td><td class=\"number\">", count, "</td></tr>\n");
  }
  page.Figure("confused-pairs", "Most frequent confusions", table + "</table></div>\n", "");
}

void AddMistakes(const RunRecord& run, HtmlPage& page) {
  std::string cards;
  for (const diagnostics::Mistake& mistake : run.latest.mistakes()) {
    const std::string answer = ClassName(run, mistake.answer()), label = ClassName(run, mistake.label());
    const std::string picture =
        PictureElement(mistake.picture(), absl::StrCat("example ", mistake.example(), ", of class ", label));
    absl::StrAppend(&cards, "<div title=\"example ", mistake.example(), "\">", picture, "<span class=\"wrong\">",
                    Escaped(answer), absl::StrFormat(" (%.0f %%)", 100 * mistake.answer_share()),
                    "</span><br/><span class=\"right\">", Escaped(label),
                    absl::StrFormat(" (%.2g %%)", 100 * mistake.label_share()), "</span></div>\n");
  }
  if (cards.empty()) return;
  page.Figure("mistakes", "Worst mistakes", absl::StrCat("<div class=\"pictures\">\n", cards, "</div>\n"),
              absl::StrCat("Of the ", ExamplesOf(run),
                           ", after the last epoch: the model's answer and, below it, the right one, each with its "
                           "softmax share. The worst is the one that gives the right answer the least."),
              HtmlPage::Width::kPage);
}

}  // namespace

void AddAnswers(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("Answers");
  AddConfusion(run, page);
  AddMistakes(run, page);
}

void AddFilters(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("First layer");
  std::string pictures;
  for (int i = 0; i < run.latest.filters_size(); ++i) {
    pictures += PictureElement(run.latest.filters(i), absl::StrCat("filter ", i));
  }
  if (pictures.empty()) return;
  page.Figure("filters", "Filters of the first layer",
              absl::StrCat("<div class=\"pictures filters\">\n", pictures, "\n</div>\n"),
              "The latent weights of the first outputs, each stretched to the full range: the brightest is the largest "
              "positive weight, the darkest the largest negative one.",
              HtmlPage::Width::kPage);
}

void AddSamples(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("Samples");
  std::string texts;
  for (const diagnostics::Sample& sample : run.latest.samples()) {
    absl::StrAppend(&texts, "<blockquote><b>", Escaped(sample.prompt()), "</b>", Escaped(sample.text()),
                    "</blockquote>\n");
  }
  if (texts.empty()) return;
  page.Figure("samples", "What the model writes", texts,
              "After the last epoch. It goes on from the coloured text; each token is drawn from the softmax at "
              "temperature 0.8, with the same random numbers in each epoch.",
              HtmlPage::Width::kPage);
}

}  // namespace bitgrad::report
