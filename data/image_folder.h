// Image files in a folder per class:
//
//   DIR/train/CLASS/*.jpg   DIR/val/CLASS/*.jpg
//
// JPEG and PNG files (decode_image.h), called .jpg, .jpeg or .png in any case, also in folders below a class's
// (class_folders.h says what is passed over). Classes are numbered in the order of their names, and are those of train;
// where there is no folder train, the test images' own. Each image's shorter side is resized to image_size, and the
// central square taken (resize.h); all are RGB. Orientation in EXIF data is ignored: turn such pictures before. So that
// the first and the last examples are a sample of all classes, they come in an order that is shuffled once and for all.
//
// An image takes 12 KiB at the default size of 64, 147 KiB at 224. A split that fits into cache_bytes is decoded when
// it is loaded. A larger one, like ImageNet's training images (193 GB at 224), is decoded when images are needed, by
// the threads that prepare batches; as many as fit into cache_bytes are kept. The pixels are the same.

#ifndef BITGRAD_DATA_IMAGE_FOLDER_H_
#define BITGRAD_DATA_IMAGE_FOLDER_H_

#include "absl/status/statusor.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/load_options.h"

namespace bitgrad {

// Uses data_dir, split, threads, limit, image_size and cache_bytes of `options`. Errors name the folders or files and
// what to do: NotFound without data_dir or where a folder is missing; InvalidArgument for class folders that differ
// between train and val and for all that ListClassFolders() (class_folders.h) refuses; for files that cannot be
// decoded, InvalidArgument (another format) or DataLoss (truncated or damaged), with the first 20 of them and the
// count. In a split that is decoded when needed, only the ends of files are looked at: damage within is an error when
// the image is read.
absl::StatusOr<Dataset> LoadImageFolder(const LoadOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_FOLDER_H_
