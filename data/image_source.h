// ImageSource: the images of a data set that do not lie in memory, one at a time.
//
// A data set that is larger than what may be kept in memory has a source instead of a tensor of images:
// Dataset::Pixels() and the threads of BatchLoader ask it for the examples that they need.

#ifndef BITGRAD_DATA_IMAGE_SOURCE_H_
#define BITGRAD_DATA_IMAGE_SOURCE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "bitgrad/data/image_shape.h"

namespace bitgrad {

// Immutable as seen from outside: Read() gives the same bytes for the same example every time, on any thread. It is
// called by several threads at a time.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  virtual int64_t size() const = 0;
  // Of every image.
  virtual ImageShape shape() const = 0;
  // Writes the image `example`, [height, width, channels] bytes. An error names the file and what is wrong with it; the
  // content of `pixels` is then undefined. REQUIRES: 0 <= example < size(), room for shape().features() bytes.
  virtual absl::Status Read(int64_t example, uint8_t* pixels) const = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_SOURCE_H_
