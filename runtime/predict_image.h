// What predict does with one image of the user's: --image=FILE.

#ifndef BITGRAD_RUNTIME_PREDICT_IMAGE_H_
#define BITGRAD_RUNTIME_PREDICT_IMAGE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/image.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// That the model takes images as they are in their data set: FailedPrecondition for one of tokens, and for one of
// images that the recipe's data.preprocessing has changed.
absl::Status CheckTakesPixels(const PackedModel& model);

// The images that the model takes: those that it was trained on. Where the file does not say, its values are a square
// of grey or RGB pixels. FailedPrecondition where they are neither.
absl::StatusOr<ImageShape> ImageShapeOf(const PackedModel& model);

// The image in the shape that a model takes:
//
//   - Another size than the model's: the shorter side is resized, and the centre cut out (data/resize.h), as images of
//     any size are trained on. InvalidArgument, with the size wanted, where the model's images are no squares.
//   - One channel: the luma of the colours, (299 R + 587 G + 114 B) / 1000, rounded to nearest.
//   - `invert`: 255 minus each value.
//
// REQUIRES: the image is RGB and has pixels.
absl::StatusOr<Image> ToShape(const Image& image, const ImageShape& shape, bool invert);

// The image in characters, light pixels as dense ones, each line with its end. A character is the average of a block
// that is twice as high as it is wide, as characters are; at most 32 of them stand in a line.
std::string Drawing(const Image& image);

struct ImageOptions {
  std::string path;     // a PNG or JPEG file
  bool invert = false;  // dark strokes on light paper, where the model knows light ones on dark
};

// Reads the image, draws it on stdout, and prints the model's answer: the three classes with the largest scores (the
// model's outputs as they are), and the last line
//
//   predict: class=7 score=12.5
//
// Errors are those above, of the file (its path is named), and of the interpreter.
absl::Status PredictImage(const PackedModel& model, ExecContext& context, const ImageOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PREDICT_IMAGE_H_
