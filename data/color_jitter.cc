#include "bitgrad/data/color_jitter.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

float Factor(float strength, RandomDraws& draws) {
  return draws.Between(std::max(0.0f, 1.0f - strength), 1.0f + strength);
}

// A thousand times the luma, exactly.
int32_t LumaTimes1000(const uint8_t* rgb) { return 299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2]; }

// The conversion to an integer truncates, which for numbers that are not negative is the floor.
uint8_t ToPixel(float x) { return static_cast<uint8_t>(std::clamp(x + 0.5f, 0.0f, 255.0f)); }

}  // namespace

absl::Status ColorJitter::Check(const ImageShape& shape) const {
  if (shape.channels == 3) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("jitter of images of ", shape.ToString(), ": it needs 3 channels, red, green and blue"));
}

void ColorJitter::Apply(const ImageShape& shape, uint8_t* pixels, RandomDraws& draws) const {
  const float b = Factor(brightness_, draws);
  const float c = Factor(contrast_, draws);
  const float s = Factor(saturation_, draws);
  uint8_t* const end = pixels + shape.features();
  int64_t luma_sum = 0;
  for (const uint8_t* rgb = pixels; rgb != end; rgb += 3) luma_sum += LumaTimes1000(rgb);
  const float mean_luma = b * static_cast<float>(static_cast<double>(luma_sum) /
                                                 (1000.0 * static_cast<double>(shape.height * shape.width)));
  // Contrast is linear and keeps the mean, so a pixel's luma changes as its channels do.
  const float gain = c * b;
  const float shift = mean_luma - c * mean_luma;
  for (uint8_t* rgb = pixels; rgb != end; rgb += 3) {
    const float luma = shift + gain * (static_cast<float>(LumaTimes1000(rgb)) / 1000.0f);
    for (int i = 0; i < 3; ++i) {
      const float x = shift + gain * static_cast<float>(rgb[i]);
      rgb[i] = ToPixel(luma + s * (x - luma));
    }
  }
}

}  // namespace bitgrad
