// MNIST (LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
// 1998): handwritten digits, 28x28 8-bit, 10 classes, 60,000 to train and 10,000 to test.
//
// Read from the database's four files, each plain or gzipped, in one directory:
//
//   train-images-idx3-ubyte[.gz]  train-labels-idx1-ubyte[.gz]
//   t10k-images-idx3-ubyte[.gz]   t10k-labels-idx1-ubyte[.gz]
//
// Other data sets in the same four files (Fashion-MNIST, KMNIST) can be read as well: sizes and
// counts are taken from the files.

#ifndef BITGRAD_DATA_MNIST_H_
#define BITGRAD_DATA_MNIST_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// Uses data_dir, split and limit of `options`. NotFound without data_dir or where a file is
// missing: the message names the file, the four files with their checksums, and what to do. Errors
// of ReadIdx (idx.h) for bad files; InvalidArgument where images and labels differ in count or a
// label is not in [0, 10).
absl::StatusOr<Dataset> LoadMnist(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_MNIST_H_
