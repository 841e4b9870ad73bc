// The sections of a run's report (html_report.h). Each adds what the run's record has for it, and nothing where it has
// none: what was not measured is not shown. docs/reports.md says what each figure means.

#ifndef BITGRAD_REPORT_SECTIONS_H_
#define BITGRAD_REPORT_SECTIONS_H_

#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/report/html_page.h"

namespace bitgrad::report {

// The run in a few words and numbers.
void AddOverview(const RunRecord& run, HtmlPage& page);
// Loss, errors, learning rate, and what the model tells of itself, over the epochs.
void AddProgress(const RunRecord& run, HtmlPage& page);
// What layers are like over the epochs: a curve for each layer.
void AddLayers(const RunRecord& run, HtmlPage& page);
// Histograms of latent weights over the epochs.
void AddWeights(const RunRecord& run, HtmlPage& page);
// The classes that are confused, and the worst mistakes.
void AddAnswers(const RunRecord& run, HtmlPage& page);
// The first layer's filters.
void AddFilters(const RunRecord& run, HtmlPage& page);
// What a model of text writes.
void AddSamples(const RunRecord& run, HtmlPage& page);
// Where the time and the memory of a training step go.
void AddStep(const RunRecord& run, HtmlPage& page);
// The commands to go on, the machine, the recipe.
void AddSetting(const RunRecord& run, HtmlPage& page);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_SECTIONS_H_
