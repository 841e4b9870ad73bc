// Data sets in idx files (idx.h): MNIST and its relatives.
//
//   mnist   MNIST (LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition", 1998):
//           handwritten digits, 28x28 8-bit, 10 classes, 60,000 to train and 10,000 to test
//   idx     any other: Fashion-MNIST, KMNIST, EMNIST; images of any size and any number of classes
//
// A split is a file of images and one of labels, each plain or gzipped (.gz):
//
//   train-images-idx3-ubyte   train-labels-idx1-ubyte
//   t10k-images-idx3-ubyte    t10k-labels-idx1-ubyte       t10k may be called test
//
// Other spellings that unpackers leave are read as well: a dot before "idx" (train-images.idx3-ubyte), and a folder of
// the file's name with the file in it. Images have 3 dimensions [count, height, width], or 4 (idx4) with the channels,
// 1 to 4, as the last.
//
// EMNIST's files have a name in front: emnist-letters-train-images-idx3-ubyte. Where a directory has several such data
// sets, --data_dir=DIR/emnist-letters picks one. (EMNIST's images lie on their sides; they are taken as they are.)

#ifndef BITGRAD_DATA_IDX_DATASET_H_
#define BITGRAD_DATA_IDX_DATASET_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// MNIST, or any data of 10 classes in files of these names: sizes and counts are taken from the files. Uses data_dir,
// split and limit of `options`. NotFound without data_dir or where a file is missing, with the names and checksums of
// MNIST's files; whatever ReadIdx reports; InvalidArgument where images and labels do not match or a label is none of 0
// to 9.
absl::StatusOr<Dataset> LoadMnist(const LoadOptions& options);

// Uses first_label and classes of `options` besides. By default the classes are counted: they are the labels from 0, or
// from 1 where no 0 occurs (EMNIST's letters), to the largest one, in both splits' files of labels, of which that of
// the split that is not loaded may be missing. Where `classes` alone is given, labels begin with 1 where no 0 occurs
// and the largest label is `classes`. Class names are the labels' numbers. InvalidArgument for a label out of range.
absl::StatusOr<Dataset> LoadIdx(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IDX_DATASET_H_
