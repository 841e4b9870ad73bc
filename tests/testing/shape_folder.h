// Makes folders of JPEG files as data/image_folder.h reads them: shapes of random colours, a class per shape.

#ifndef BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_
#define BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_

#include <cstdint>
#include <string>

#include "bitgrad/data/image.h"

namespace bitgrad {

// DIR/train and DIR/val with the classes "disc", "ring" and "square", so many files of each: bright shapes at random
// places on dark backgrounds, of different sizes and proportions, the longer side `side` pixels. A function of its
// arguments.
void WriteShapeFolder(const std::string& directory, int train_per_class, int val_per_class, int64_t side = 48,
                      uint64_t seed = 1);

// The bytes of a JPEG file. REQUIRES: 3 channels, 1 (grey) or 4 (CMYK, in an Adobe file, which stores 255 minus the
// ink); quality in 1..100. `ycck` stores CMYK as YCCK.
std::string EncodeJpeg(const Image& image, int quality, bool ycck = false);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_SHAPE_FOLDER_H_
