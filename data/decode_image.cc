#include "bitgrad/data/decode_image.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "bitgrad/data/jpeg.h"
#include "bitgrad/data/png.h"

namespace bitgrad {
namespace {

constexpr absl::string_view kJpegStart = "\xff\xd8\xff";
constexpr absl::string_view kJpegEnd = "\xff\xd9";
constexpr absl::string_view kPngStart = "\x89PNG\r\n\x1a\n";
constexpr absl::string_view kPngEnd = "IEND\xae\x42\x60\x82";  // the last chunk's name and checksum

absl::string_view Text(absl::Span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

absl::StatusOr<Image> DecodeImage(absl::Span<const uint8_t> bytes, bool* has_junk) {
  const absl::string_view text = Text(bytes);
  // Two bytes tell a JPEG file, so that a truncated one is called that.
  if (absl::StartsWith(text, kJpegStart.substr(0, 2))) return DecodeJpeg(bytes, has_junk);
  if (absl::StartsWith(text, kPngStart)) return DecodePng(bytes, has_junk);
  return absl::InvalidArgumentError(text.empty() ? "the file is empty" : "neither a JPEG nor a PNG file");
}

bool LooksWhole(absl::Span<const uint8_t> bytes) {
  const absl::string_view text = Text(bytes);
  return (absl::StartsWith(text, kJpegStart) && absl::EndsWith(text, kJpegEnd)) ||
         (absl::StartsWith(text, kPngStart) && absl::EndsWith(text, kPngEnd));
}

}  // namespace bitgrad
