// JPEG files to pixels, by libjpeg-turbo. Its errors, which it reports by jumping out of its functions, become
// absl::Status here and nowhere else.

#ifndef BITGRAD_DATA_JPEG_H_
#define BITGRAD_DATA_JPEG_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image.h"

namespace bitgrad {

// The image as RGB; grey ones get three equal channels. DataLoss where data are missing or damaged (what libjpeg would
// fill in with grey and a warning), InvalidArgument where the bytes are no JPEG or one that cannot become RGB (CMYK),
// or where a side exceeds 2^14 pixels. The messages name no file: the caller knows it.
absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_JPEG_H_
