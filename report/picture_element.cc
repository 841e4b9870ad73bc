#include "bitgrad/report/picture_element.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/png.h"

namespace bitgrad::report {
namespace {

bool IsPicture(const diagnostics::Picture& picture) {
  const int64_t height = picture.height(), width = picture.width(), channels = picture.channels();
  return height > 0 && width > 0 && (channels == 1 || channels == 3) &&
         static_cast<int64_t>(picture.pixels().size()) == height * width * channels;
}

// The means of squares of factor x factor pixels; what is over at the right and at the bottom is cut off.
diagnostics::Picture Smaller(const diagnostics::Picture& picture, int32_t factor) {
  diagnostics::Picture smaller;
  smaller.set_height(std::max(1, picture.height() / factor));
  smaller.set_width(std::max(1, picture.width() / factor));
  smaller.set_channels(picture.channels());
  const auto pixel = [&](int32_t row, int32_t column, int32_t channel) {
    const int64_t index = (int64_t{row} * picture.width() + column) * picture.channels() + channel;
    return int64_t{static_cast<uint8_t>(picture.pixels()[static_cast<size_t>(index)])};
  };
  for (int32_t row = 0; row < smaller.height(); ++row) {
    for (int32_t column = 0; column < smaller.width(); ++column) {
      for (int32_t channel = 0; channel < smaller.channels(); ++channel) {
        int64_t sum = 0, count = 0;
        for (int32_t i = row * factor; i < std::min((row + 1) * factor, picture.height()); ++i) {
          for (int32_t k = column * factor; k < std::min((column + 1) * factor, picture.width()); ++k, ++count) {
            sum += pixel(i, k, channel);
          }
        }
        smaller.mutable_pixels()->push_back(static_cast<char>(static_cast<uint8_t>((sum + count / 2) / count)));
      }
    }
  }
  return smaller;
}

}  // namespace

std::string PictureElement(const diagnostics::Picture& picture, absl::string_view description) {
  if (!IsPicture(picture)) return "";
  const int32_t side = std::max(picture.height(), picture.width());
  const int32_t factor = (side - 1) / kLargestSide + 1;
  const std::string bytes = EncodePng(factor == 1 ? picture : Smaller(picture, factor));
  return absl::StrCat("<img src=\"data:image/png;base64,", absl::Base64Escape(bytes), "\" alt=\"", Escaped(description),
                      "\"/>");
}

}  // namespace bitgrad::report
