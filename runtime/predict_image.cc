#include "bitgrad/runtime/predict_image.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/program_command.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/decode_image.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/resize.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

// The nearest integer to the luma of ITU-R BT.601.
int64_t Luma(const uint8_t* rgb) { return (299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000; }

// The brightness of the pixel, which has one channel or three.
int64_t BrightnessOf(const Image& image, int64_t row, int64_t column) {
  const uint8_t* pixel = image.pixels.data() + (row * image.shape.width + column) * image.shape.channels;
  return image.shape.channels == 3 ? Luma(pixel) : *pixel;
}

// Whether the pixels of the outermost rows and columns are light on average.
bool HasLightBorder(const Image& image) {
  const int64_t height = image.shape.height, width = image.shape.width;
  int64_t sum = 0, count = 0;
  for (int64_t row = 0; row < height; ++row) {
    for (int64_t column = 0; column < width; ++column) {
      const bool is_inside = row > 0 && row < height - 1 && column > 0 && column < width - 1;
      if (!is_inside) sum += BrightnessOf(image, row, column);
      count += !is_inside;
    }
  }
  return sum > 127 * count;
}

std::string NameOfClass(const PackedModel& model, int64_t number) {
  const packed::Header& header = model.header();
  return number < header.class_names_size() ? header.class_names(static_cast<int>(number)) : absl::StrCat(number);
}

absl::StatusOr<Image> ReadImage(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  absl::StatusOr<Image> image = DecodeImage(file.bytes());
  if (!image.ok()) return absl::Status(image.status().code(), absl::StrCat("'", path, "': ", image.status().message()));
  return image;
}

}  // namespace

absl::Status CheckTakesPixels(const PackedModel& model) {
  if (model.header().input().tokens() > 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed model '", model.name(), "' takes tokens, not images; let it write: ",
                     ProgramCommand("//runtime:generate"), " --model=", ShellQuoted(model.name())));
  }
  if (!model.header().input().has_pixels()) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed model '", model.name(), "' takes preprocessed images, not pixels: what its recipe's ",
                     "data.preprocessing learned is in the checkpoint; run //models:evaluate on that"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImageShape> ImageShapeOf(const PackedModel& model) {
  if (model.header().has_training_data()) return ImageShapeOf(model.header().training_data());
  const int64_t features = model.input().num_elements();
  for (const int64_t channels : {1, 3}) {
    const int64_t side = std::lround(std::sqrt(static_cast<double>(features) / static_cast<double>(channels)));
    if (side * side * channels == features) return ImageShape{side, side, channels};
  }
  return absl::FailedPreconditionError(absl::StrCat("packed model '", model.name(), "' takes ", features,
                                                    " values, which are no square image of grey or RGB pixels; ",
                                                    "run it through runtime/interpreter.h"));
}

absl::StatusOr<Image> ToShape(const Image& image, const ImageShape& shape, bool invert) {
  Image rgb = image;
  if (image.shape.height != shape.height || image.shape.width != shape.width) {
    if (shape.height != shape.width) {
      return absl::InvalidArgumentError(absl::StrCat("an image of ", image.shape.height, "x", image.shape.width,
                                                     " where the model takes ", shape.height, "x", shape.width,
                                                     " (height x width); give it that size"));
    }
    rgb = ResizeAndCrop(image, shape.height);
  }
  Image result;
  result.shape = shape;
  result.pixels.resize(static_cast<size_t>(shape.features()));
  if (shape.channels == 3) {
    result.pixels = std::move(rgb.pixels);
  } else {
    for (size_t i = 0; i < result.pixels.size(); ++i) {
      result.pixels[i] = static_cast<uint8_t>(Luma(rgb.pixels.data() + 3 * i));
    }
  }
  if (invert) {
    for (uint8_t& value : result.pixels) value = static_cast<uint8_t>(255 - value);
  }
  return result;
}

std::string Drawing(const Image& image) {
  constexpr absl::string_view kDensities = " .:-=+*#%@";
  constexpr int64_t kMostColumns = 32;
  const int64_t height = image.shape.height, width = image.shape.width;
  const int64_t block_width = (width + kMostColumns - 1) / kMostColumns, block_height = 2 * block_width;
  std::string drawing;
  for (int64_t top = 0; top < height; top += block_height) {
    std::string line;
    for (int64_t left = 0; left < width; left += block_width) {
      const int64_t bottom = std::min(top + block_height, height), right = std::min(left + block_width, width);
      int64_t sum = 0;
      for (int64_t row = top; row < bottom; ++row) {
        for (int64_t column = left; column < right; ++column) sum += BrightnessOf(image, row, column);
      }
      const int64_t average = sum / ((bottom - top) * (right - left));
      line += kDensities[static_cast<size_t>(average * static_cast<int64_t>(kDensities.size()) / 256)];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&drawing, line, "\n");
  }
  return drawing;
}

absl::Status PredictImage(const PackedModel& model, ExecContext& context, const ImageOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckTakesPixels(model));
  BITGRAD_ASSIGN_OR_RETURN(const ImageShape shape, ImageShapeOf(model));
  if (shape.channels != 1 && shape.channels != 3) {
    return absl::FailedPreconditionError(absl::StrCat("packed model '", model.name(), "' takes ", shape.ToString(),
                                                      " values, which are no image of grey or RGB pixels"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Image file, ReadImage(options.path));
  absl::StatusOr<Image> image = ToShape(file, shape, options.invert);
  if (!image.ok()) {
    return absl::Status(image.status().code(), absl::StrCat("'", options.path, "': ", image.status().message()));
  }
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(model, context));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, interpreter->RunPixels({image->pixels.data(), 1, shape.features()}));
  const absl::Span<const float> scores = logits.span<float>();
  for (const float score : scores) {
    if (std::isnan(score)) {
      return absl::FailedPreconditionError(
          absl::StrCat("packed model '", model.name(), "' answers '", options.path, "' with a NaN"));
    }
  }

  std::printf("%s", Drawing(*image).c_str());
  if (file.shape.height != shape.height || file.shape.width != shape.width) {
    std::printf("note: %lldx%lld pixels became %lldx%lld: the shorter side was resized, and the centre cut out\n",
                static_cast<long long>(file.shape.height), static_cast<long long>(file.shape.width),
                static_cast<long long>(shape.height), static_cast<long long>(shape.width));
  }
  // Data sets of grey images (MNIST, Fashion-MNIST, the built-in digits) have light strokes on black.
  if (shape.channels == 1 && HasLightBorder(*image)) {
    std::printf("note: the image is light at its border, and grey images of most data sets are dark there; %s\n",
                options.invert ? "without --invert it is dark" : "--invert makes dark strokes on light paper light");
  }
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  // As where errors are counted, the first of equal ones wins.
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  for (size_t i = 0; i < std::min<size_t>(3, order.size()); ++i) {
    std::printf("%-12s %g\n", NameOfClass(model, order[i]).c_str(), static_cast<double>(scores[order[i]]));
  }
  std::printf("predict: class=%s score=%g\n", ShellQuoted(NameOfClass(model, order[0])).c_str(),
              static_cast<double>(scores[order[0]]));
  return absl::OkStatus();
}

}  // namespace bitgrad
