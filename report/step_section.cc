// Where the time and the memory of a training step go.

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/report/bar_plot.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/sections.h"

namespace bitgrad::report {
namespace {

constexpr size_t kMostParts = 12;
constexpr double kMiB = 1024.0 * 1024.0;
constexpr const char* kPhases[] = {"forward", "backward", "update"};

std::string LayerName(const diagnostics::Part& part) {
  if (part.phase() == diagnostics::Part::UPDATE) return "update";
  return part.layer().empty() ? "loss and others" : part.layer();
}

size_t PhaseOf(const diagnostics::Part& part) {
  return std::min(static_cast<size_t>(part.phase()), std::size(kPhases) - 1);
}

// The numbers of the parts by layer and phase, in the order in which layers come first.
BarPlot ByLayer(const diagnostics::Epoch& epoch, double (*value)(const diagnostics::Part&)) {
  BarPlot plot;
  for (const char* phase : kPhases) plot.parts.push_back({.name = phase});
  for (const diagnostics::Part& part : epoch.parts()) {
    if (value(part) == 0) continue;
    const std::string name = LayerName(part);
    const auto known = std::find(plot.rows.begin(), plot.rows.end(), name);
    const auto row = static_cast<size_t>(known - plot.rows.begin());
    if (known == plot.rows.end()) {
      plot.rows.push_back(name);
      for (BarPlot::Part& phase : plot.parts) phase.values.push_back(0);
    }
    plot.parts[PhaseOf(part)].values[row] += value(part);
  }
  return plot;
}

std::string PartsTable(const diagnostics::Epoch& epoch) {
  std::vector<const diagnostics::Part*> parts;
  for (const diagnostics::Part& part : epoch.parts()) parts.push_back(&part);
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto* a, const auto* b) { return a->seconds() > b->seconds(); });
  parts.resize(std::min(parts.size(), kMostParts));
  std::string table =
      "<div class=\"scroll\"><table><tr><th>layer</th><th>op</th><th>phase</th><th class=\"number\">ms</th>"
      "<th class=\"number\">%</th><th class=\"number\">MiB</th></tr>\n";
  for (const diagnostics::Part* part : parts) {
    absl::StrAppend(
        &table, "<tr><td>", Escaped(LayerName(*part)), "</td><td>", Escaped(part->op()), "</td><td>",
        kPhases[PhaseOf(*part)], "</td>",
        absl::StrFormat("<td class=\"number\">%.3f</td><td class=\"number\">%.1f</td><td class=\"number\">%.2f</td>",
                        1e3 * part->seconds(),
                        epoch.step_seconds() > 0 ? 100 * part->seconds() / epoch.step_seconds() : 0.0,
                        // Without the sign of what is rounded to 0.
                        std::round(static_cast<double>(part->held_bytes()) / kMiB * 100) / 100 + 0.0),
        "</tr>\n");
  }
  return table + "</table></div>\n";
}

}  // namespace

void AddStep(const RunRecord& run, HtmlPage& page) {
  const auto timed = std::find_if(run.diagnostics.rbegin(), run.diagnostics.rend(),
                                  [](const diagnostics::Epoch& epoch) { return epoch.parts_size() > 0; });
  if (timed == run.diagnostics.rend()) return;
  page.BeginSection("A training step");
  BarPlot time = ByLayer(*timed, [](const diagnostics::Part& part) { return 1e3 * part.seconds(); });
  time.description = "The time of a training step by layer";
  time.x_label = "time (ms)";
  time.unit = "ms";
  page.Figure(
      "step-time", "Time by layer", ToSvg(time),
      absl::StrFormat("One step of epoch %d, which took %.4g ms in all.", timed->epoch(), 1e3 * timed->step_seconds()));
  BarPlot memory =
      ByLayer(*timed, [](const diagnostics::Part& part) { return static_cast<double>(part.held_bytes()) / kMiB; });
  memory.description = "The memory of a training step by layer";
  memory.x_label = "memory (MiB)";
  memory.unit = "MiB";
  page.Figure(
      "step-memory", "Memory by layer", ToSvg(memory),
      absl::StrFormat("By how much the memory that tensors take grew in the layer's ops; to the left, what they "
                      "gave back. At most, the step held %.4g MiB.",
                      static_cast<double>(timed->step_bytes()) / kMiB));
  page.Figure("step-parts", "Parts that take longest", PartsTable(*timed), "", HtmlPage::Width::kPage);
}

}  // namespace bitgrad::report
