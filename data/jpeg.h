// JPEG files to pixels, by libjpeg-turbo. It reports errors by jumping out of its functions; here and nowhere else they
// become absl::Status.

#ifndef BITGRAD_DATA_JPEG_H_
#define BITGRAD_DATA_JPEG_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image.h"

namespace bitgrad {

// The image as RGB. Grey images get three equal channels. CMYK images, and YCCK ones as libjpeg turns them into CMYK,
// become
//
//   R = round((255 - C) (255 - K) / 255)   and likewise G of M, B of Y
//
// where C, M, Y, K are inks in 0..255; Adobe's files, which an Adobe marker tells, store 255 minus the ink. Colour
// profiles are ignored. So is the orientation in EXIF data, as in the usual training pipelines: the pixels come as they
// are stored.
//
// Bytes that belong to nothing, before or after the marker that ends the image, are passed over as every viewer does;
// *has_junk says whether there are any. DataLoss where data are missing or damaged (libjpeg would fill in grey and
// warn), InvalidArgument where the bytes do not begin as a JPEG file or a side exceeds 2^14 pixels or all are more than
// 2^26. The messages name no file: the caller knows it.
absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes, bool* has_junk = nullptr);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_JPEG_H_
