// Runs as reports show them, made up for tests.

#ifndef BITGRAD_TESTS_REPORT_RUN_TESTING_H_
#define BITGRAD_TESTS_REPORT_RUN_TESTING_H_

#include <string>
#include <vector>

#include "bitgrad/models/diagnostics/run_record.h"

namespace bitgrad {

struct MadeUpRun {
  int epochs = 12;
  std::vector<std::string> layers = {"hidden1", "hidden2", "output"};
  int classes = 4;
};

// A run over images that has everything there is: metrics, diagnostics, confusions, mistakes with pictures, filters,
// the parts of a step, a machine, commands.
RunRecord MakeUp(const MadeUpRun& options);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_REPORT_RUN_TESTING_H_
