// PNG files to pixels, by libpng. It reports errors by jumping out of its functions; here and nowhere else they become
// absl::Status.

#ifndef BITGRAD_DATA_PNG_H_
#define BITGRAD_DATA_PNG_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image.h"

namespace bitgrad {

// The image as RGB, 8 bits each. Grey images get three equal channels, palettes are looked up, 16-bit values are scaled
// with rounding to nearest. Transparency is ignored: a pixel has the colour that is stored. So are gamma and colour
// profiles.
//
// Bytes after the end of the image are passed over; *has_junk says whether there are any. DataLoss where data are
// missing or damaged, InvalidArgument where the bytes do not begin as a PNG file or the image is larger than
// DecodeJpeg() takes. The messages name no file: the caller knows it.
absl::StatusOr<Image> DecodePng(absl::Span<const uint8_t> bytes, bool* has_junk = nullptr);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_PNG_H_
