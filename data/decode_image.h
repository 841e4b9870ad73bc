// Image files to pixels. Which format a file has is seen from its content: ImageNet has a PNG file called .JPEG.

#ifndef BITGRAD_DATA_DECODE_IMAGE_H_
#define BITGRAD_DATA_DECODE_IMAGE_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image.h"

namespace bitgrad {

// The image as RGB, as jpeg.h and png.h say, with their errors. InvalidArgument for all other formats.
absl::StatusOr<Image> DecodeImage(absl::Span<const uint8_t> bytes, bool* has_junk = nullptr);

// Whether the bytes begin and end as a whole file of a known format does. It looks at a few bytes of both ends: true is
// no promise that the image can be decoded, and false may only mean that other bytes follow the image.
bool LooksWhole(absl::Span<const uint8_t> bytes);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_DECODE_IMAGE_H_
