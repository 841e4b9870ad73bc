// CIFAR-10 and CIFAR-100 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009): photographs,
// 32x32 RGB, 8-bit, 50,000 to train and 10,000 to test, of 10 or 100 classes.
//
// Read from the binary version's files, each plain or gzipped, in data_dir or in the directory that the archive unpacks
// to:
//
//   cifar10    [cifar-10-batches-bin/]data_batch_1.bin .. data_batch_5.bin, test_batch.bin
//   cifar100   [cifar-100-binary/]train.bin, test.bin
//
//   file   = record, record, ...
//   record = label pixels              CIFAR-10: 3,073 bytes
//          | coarse fine pixels        CIFAR-100: 3,074 bytes; the fine label, of 100 classes, is used
//   pixels = three planes R, G, B of 32x32 bytes, row-major; here they become [32, 32, 3]

#ifndef BITGRAD_DATA_CIFAR_H_
#define BITGRAD_DATA_CIFAR_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// Use data_dir, split and limit of `options`. Class names are those of batches.meta.txt (cifar10) or
// fine_label_names.txt (cifar100) beside the files; without it CIFAR-10's ten are known, CIFAR-100's are numbers.
//
// Errors name the file and what to do: NotFound without data_dir or where a file is missing, with all names and where
// they were looked for; DataLoss where a file has another number of records than the published one (10,000, but 50,000
// in train.bin: one that was cut between two records cannot be told otherwise) or is damaged; InvalidArgument where a
// label, whose record is named, is out of range, or the names are not as many as the classes.
absl::StatusOr<Dataset> LoadCifar10(const LoadOptions& options);
absl::StatusOr<Dataset> LoadCifar100(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_CIFAR_H_
