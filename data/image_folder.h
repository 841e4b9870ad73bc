// JPEG files in a folder per class:
//
//   DIR/train/CLASS/*.jpg   DIR/val/CLASS/*.jpg      (.jpg and .jpeg in any case; other files are passed over)
//
// Classes are numbered in the order of their names, and are those of train. Each image's shorter side is resized to
// image_size, and the central square taken (resize.h); all are RGB. So that the first and the last examples are a
// sample of all classes, they come in an order that is shuffled once and for all.
//
// Images are decoded when the data set is loaded, on all threads, and kept as bytes: 12 KiB each at the default size of
// 64, 147 KiB at 224. That suits data sets that fit into memory.

#ifndef BITGRAD_DATA_IMAGE_FOLDER_H_
#define BITGRAD_DATA_IMAGE_FOLDER_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// Uses data_dir, split, threads, limit and image_size of `options`. Errors name the folder or file and what to do:
// NotFound without data_dir or where a folder is missing; InvalidArgument for folders of classes that differ between
// train and val, a class without images, a file that is no JPEG; DataLoss for a truncated one; ResourceExhausted where
// all images would take more than the machine's memory.
absl::StatusOr<Dataset> LoadImageFolder(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_FOLDER_H_
