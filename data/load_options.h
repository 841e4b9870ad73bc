// What a data set is loaded with. Each data set uses what concerns it.

#ifndef BITGRAD_DATA_LOAD_OPTIONS_H_
#define BITGRAD_DATA_LOAD_OPTIONS_H_

#include <cstdint>
#include <string>

#include "bitgrad/data/dataset.h"

namespace bitgrad {

struct LoadOptions {
  std::string data_dir;  // where the files lie, for data sets that are read from files
  // The only split whose images are read: the other one's files need not be there.
  Split split = Split::kTrain;
  uint64_t seed = 1;        // for synthetic data sets: another seed is another data set
  int threads = 1;          // for work that can be shared; the result does not depend on it
  int64_t limit = 0;        // only the first `limit` examples; 0, or more than there are: all
  int64_t image_size = 0;   // side of the images, for data sets of files of any size; 0: their default
  int64_t cache_bytes = 0;  // memory for the split's images, where they can be decoded when needed; 0: their default
  // For data sets whose files do not say which labels there are (idx_dataset.h): the classes are the labels
  // first_label, first_label + 1, ..., `classes` of them. Negative and 0: as found in the files.
  int64_t first_label = -1;
  int64_t classes = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_LOAD_OPTIONS_H_
