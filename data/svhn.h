// SVHN, the Street View House Numbers in their cropped format (Netzer et al., "Reading digits in natural images with
// unsupervised feature learning", 2011): digits, 32x32 RGB, 8-bit, 10 classes; 73,257 to train, 531,131 easier ones
// more to train, 26,032 to test.
//
// Read from MATLAB files, of version 5 as published or 7.3, in one directory, train_32x32.mat, extra_32x32.mat
// (svhn_extra) and test_32x32.mat, each with
//
//   X [32, 32, 3, N] uint8, column-major; here [N, 32, 32, 3]
//   y [N, 1] numbers 1 to 10; 10 is the digit 0, whose class here is 0

#ifndef BITGRAD_DATA_SVHN_H_
#define BITGRAD_DATA_SVHN_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// Use data_dir, split and limit of `options`. Errors name the file and what to do: NotFound without data_dir or where a
// file is missing; DataLoss where a file is truncated, lacks a variable or has fewer numbers than a variable's extents
// say; InvalidArgument where a variable has another type or shape than above, or a label, whose place is named, is none
// of 1 to 10.
absl::StatusOr<Dataset> LoadSvhn(const LoadOptions& options);
// The same with the extra images behind the training images.
absl::StatusOr<Dataset> LoadSvhnExtra(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_SVHN_H_
