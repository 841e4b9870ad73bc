// The data sets of images that recipes can name, and how to load one.
//
//   BITGRAD_ASSIGN_OR_RETURN(Dataset train, LoadDataset("digits", {.split = Split::kTrain}));
//
// To add a data set: one .h/.cc pair with a load function, one line in the table in datasets.cc.

#ifndef BITGRAD_DATA_DATASETS_H_
#define BITGRAD_DATA_DATASETS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// What a model has to know of a data set. A text (texts.h) has no image, which leaves 0 features, and its classes are
// the tokens of its vocabulary.
struct DataKind {
  ImageShape image;
  int64_t classes = 0;
};

struct DatasetEntry {
  const char* name;
  absl::StatusOr<Dataset> (*load)(const LoadOptions& options);
  const char* help;  // one line
  DataKind kind;     // classes = 0: only its files tell
};

// All data sets, in the order in which --help prints them.
absl::Span<const DatasetEntry> Datasets();

// Loads one split of a data set by name. The result passes Validate(), and its summary says what was found.
// InvalidArgument, with the nearest and all known names, for an unknown one, and for a negative limit; otherwise the
// errors of the data set's reader.
absl::StatusOr<Dataset> LoadDataset(const std::string& name, const LoadOptions& options);

// What is known of a data set without its files. A folder of images is taken to have ImageNet's 1,000 classes, in
// images of image_size (0: 224). FailedPrecondition where only the files tell, and for an unknown name as
// LoadDataset().
absl::StatusOr<DataKind> KindOfDataset(const std::string& name, int64_t image_size);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DATASETS_H_
