// How to go on, and what the run was made of.

#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/sections.h"
#include "google/protobuf/text_format.h"

namespace bitgrad::report {
namespace {

std::string RecipeText(const recipe::Recipe& recipe) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  return printer.PrintToString(recipe, &text) ? text : "";
}

}  // namespace

void AddSetting(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("Going on");
  for (const diagnostics::Command& command : run.latest.commands()) {
    page.Paragraph(absl::StrCat("To ", command.purpose(), ":"));
    page.Preformatted(command.command());
  }
  page.BeginSection("Machine");
  if (run.latest.has_machine()) {
    const diagnostics::Machine& machine = run.latest.machine();
    std::string list = "<dl>";
    const auto add = [&](absl::string_view name, absl::string_view value) {
      if (!value.empty()) absl::StrAppend(&list, "<dt>", name, "</dt><dd>", Escaped(value), "</dd>\n");
    };
    add("Processor", machine.processor());
    add("Cores", machine.cores() > 0 ? absl::StrCat(machine.cores()) : "");
    add("Threads of training", machine.threads() > 0 ? absl::StrCat(machine.threads()) : "");
    add("Device", machine.device());
    add("bitgrad", machine.version());
    page.Markup(list + "</dl>\n");
  }
  page.BeginSection("Recipe");
  page.Preformatted(RecipeText(run.header.recipe()));
}

}  // namespace bitgrad::report
