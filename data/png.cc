#include "bitgrad/data/png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// What is used on both sides of libpng's jump lives outside of the function that sets it.
struct Decoder {
  absl::Span<const uint8_t> left;  // bytes that are not read yet
  char message[256] = "";
  Image image;
  std::vector<uint8_t*> rows;
  png_structp png = nullptr;
  png_infop info = nullptr;
  bool too_large = false;
};

[[noreturn]] void Leave(png_structp png, png_const_charp message) {
  auto* decoder = static_cast<Decoder*>(png_get_error_ptr(png));
  std::strncpy(decoder->message, message, sizeof(decoder->message) - 1);
  png_longjmp(png, 1);
}

// Warnings are about what does not change a pixel here: colour profiles, dates, text.
void Ignore(png_structp, png_const_charp) {}

void Take(png_structp png, png_bytep to, size_t count) {
  auto* decoder = static_cast<Decoder*>(png_get_io_ptr(png));
  if (count > decoder->left.size()) png_error(png, "the file ends early");
  std::memcpy(to, decoder->left.data(), count);
  decoder->left.remove_prefix(count);
}

// False where libpng gave up; decoder.message says why. Nothing in this function has a destructor, since the jump would
// pass it by.
bool Decode(Decoder& decoder) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return false;
  png_set_read_fn(decoder.png, &decoder, Take);
  png_read_info(decoder.png, decoder.info);
  const int64_t height = png_get_image_height(decoder.png, decoder.info);
  const int64_t width = png_get_image_width(decoder.png, decoder.info);
  decoder.too_large = IsTooLarge(height, width);
  if (decoder.too_large) return false;
  png_set_expand(decoder.png);  // palettes, and grey of fewer than 8 bits
  png_set_scale_16(decoder.png);
  png_set_strip_alpha(decoder.png);
  png_set_gray_to_rgb(decoder.png);
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  if (static_cast<int64_t>(png_get_rowbytes(decoder.png, decoder.info)) != 3 * width) {
    png_error(decoder.png, "a row has another size than expected");
  }
  decoder.image.shape = {height, width, 3};
  decoder.image.pixels.resize(decoder.image.shape.features());
  decoder.rows.resize(height);
  for (int64_t row = 0; row < height; ++row) decoder.rows[row] = decoder.image.pixels.data() + row * width * 3;
  png_read_image(decoder.png, decoder.rows.data());
  png_read_end(decoder.png, nullptr);
  return true;
}

}  // namespace

absl::StatusOr<Image> DecodePng(absl::Span<const uint8_t> bytes, bool* has_junk) {
  constexpr size_t kSignatureBytes = 8;
  if (bytes.size() < kSignatureBytes || png_sig_cmp(bytes.data(), 0, kSignatureBytes) != 0) {
    return absl::InvalidArgumentError("not a PNG file");
  }
  Decoder decoder;
  decoder.left = bytes;
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, Leave, Ignore);
  if (decoder.png != nullptr) decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) {
    png_destroy_read_struct(&decoder.png, nullptr, nullptr);
    return absl::ResourceExhaustedError("there is no memory to decode it");
  }
  const bool decoded = Decode(decoder);
  png_destroy_read_struct(&decoder.png, &decoder.info, nullptr);
  if (has_junk != nullptr) *has_junk = decoded && !decoder.left.empty();
  if (decoded) return std::move(decoder.image);
  if (decoder.too_large) return TooLargeError();
  return absl::DataLossError(absl::StrCat("truncated or damaged (", decoder.message, ")"));
}

}  // namespace bitgrad
