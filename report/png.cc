#include "bitgrad/report/png.h"

#include <png.h>

#include <cstddef>

#include "bitgrad/core/check.h"

namespace bitgrad {

std::string EncodePng(const diagnostics::Picture& picture) {
  BITGRAD_CHECK(picture.height() > 0 && picture.width() > 0 && (picture.channels() == 1 || picture.channels() == 3));
  BITGRAD_CHECK(picture.pixels().size() == static_cast<size_t>(picture.height()) *
                                               static_cast<size_t>(picture.width()) *
                                               static_cast<size_t>(picture.channels()));
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  image.height = static_cast<png_uint_32>(picture.height());
  image.width = static_cast<png_uint_32>(picture.width());
  image.format = picture.channels() == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  png_alloc_size_t size = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string bytes(size, '\0');
  // Rows follow each other without gaps, as a stride of 0 says; there is no colour map.
  const int written = png_image_write_to_memory(&image, bytes.data(), &size, /*convert_to_8_bit=*/0,
                                                picture.pixels().data(), /*row_stride=*/0, /*colormap=*/nullptr);
  // There is memory for the largest file that such pixels can make, so that nothing is left that can fail.
  BITGRAD_CHECK(written != 0);
  bytes.resize(size);
  return bytes;
}

}  // namespace bitgrad
