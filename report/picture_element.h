// Pictures in a page.

#ifndef BITGRAD_REPORT_PICTURE_ELEMENT_H_
#define BITGRAD_REPORT_PICTURE_ELEMENT_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad::report {

// A larger picture is made smaller by a whole factor, to at most so many pixels on each side.
inline constexpr int32_t kLargestSide = 128;

// An <img> element with the picture in it, as PNG. Empty where the picture is none: sizes that are not positive,
// another number of channels than 1 or 3, another number of pixels than its sizes say.
std::string PictureElement(const diagnostics::Picture& picture, absl::string_view description);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_PICTURE_ELEMENT_H_
