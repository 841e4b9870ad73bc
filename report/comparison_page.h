// A comparison as a page: one HTML file that loads nothing (report/html_page.h).

#ifndef BITGRAD_REPORT_COMPARISON_PAGE_H_
#define BITGRAD_REPORT_COMPARISON_PAGE_H_

#include <string>

#include "absl/status/status.h"
#include "bitgrad/report/comparison.h"

namespace bitgrad {

// The table of figures and what differs between the groups' recipes; curves of all groups over the epochs, each the
// mean over the group's runs; notes.
std::string ComparisonPage(const Comparison& comparison);

// Writes the page whole or not at all. Errors are those of AtomicFile.
absl::Status WriteComparisonPage(const Comparison& comparison, const std::string& path);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_COMPARISON_PAGE_H_
