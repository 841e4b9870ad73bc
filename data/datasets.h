// The data sets that recipes can name, and how to load one.
//
//   BITGRAD_ASSIGN_OR_RETURN(Dataset train, LoadDataset("digits", {.split = Split::kTrain}));
//
// To add a data set: one .h/.cc pair with a load function, one line in the table in datasets.cc.

#ifndef BITGRAD_DATA_DATASETS_H_
#define BITGRAD_DATA_DATASETS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

struct DatasetEntry {
  const char* name;
  absl::StatusOr<Dataset> (*load)(const LoadOptions& options);
  const char* help;  // one line
};

// All data sets, in the order in which --help prints them.
absl::Span<const DatasetEntry> Datasets();

// Loads one split of a data set by name. The result passes Validate(), and its summary says what was found.
// InvalidArgument, with the nearest and all known names, for an unknown one, and for a negative limit; otherwise the
// errors of the data set's reader.
absl::StatusOr<Dataset> LoadDataset(const std::string& name, const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DATASETS_H_
