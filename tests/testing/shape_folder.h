// Makes folders of JPEG files in the layout that data/image_folder.h reads. The images show shapes of random colours,
// one class per shape.

#ifndef BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_
#define BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_

#include <cstdint>
#include <string>

#include "bitgrad/data/image.h"

namespace bitgrad {

// Makes DIR/train and DIR/val with the classes "disc", "ring" and "square" and the given number of files per class. The
// images have bright shapes at random positions on dark backgrounds; their sizes and proportions differ, and their
// longer side has `side` pixels. The same arguments give the same files.
void WriteShapeFolder(const std::string& directory, int train_per_class, int val_per_class, int64_t side = 48,
                      uint64_t seed = 1);

// The bytes of a JPEG file. REQUIRES: 3 channels, 1 (grey) or 4 (CMYK, in an Adobe file, which stores 255 minus the
// ink); quality in 1..100. `ycck` stores CMYK as YCCK.
std::string EncodeJpeg(const Image& image, int quality, bool ycck = false);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_
