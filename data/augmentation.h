// The augmentation that recipes can name: "crop(4)", "flip", "jitter(0.4,0.4,0.4)".
//
// To add a transform: a pair of files like random_crop.h/.cc, one form and one case in augmentation.cc.

#ifndef BITGRAD_DATA_AUGMENTATION_H_
#define BITGRAD_DATA_AUGMENTATION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/image_transform.h"

namespace bitgrad {

// The transforms in the order of `texts`. InvalidArgument for what ParseCall (call.h) refuses.
absl::StatusOr<Augmentation> ParseAugmentation(absl::Span<const std::string> texts);

// A line per transform, for --help.
std::string AugmentationHelp();

}  // namespace bitgrad

#endif  // BITGRAD_DATA_AUGMENTATION_H_
