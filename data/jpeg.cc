#include "bitgrad/data/jpeg.h"

// jpeglib.h uses FILE and size_t without including what declares them.
#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include <csetjmp>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// Where libjpeg's errors and warnings lead: back to setjmp(), with the message kept.
struct ErrorTrap {
  jpeg_error_mgr manager;  // first: libjpeg knows the trap by this address
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX] = "";
  bool has_junk = false;

  [[noreturn]] static void Leave(j_common_ptr codec) {
    auto* trap = reinterpret_cast<ErrorTrap*>(codec->err);
    codec->err->format_message(codec, trap->message);
    std::longjmp(trap->back, 1);
  }
  // Level -1 is a warning: most of them say that data are missing or damaged, and libjpeg would go on with pixels that
  // it makes up. Surplus bytes before a marker change no pixel.
  static void Emit(j_common_ptr codec, int level) {
    if (level >= 0) return;
    if (codec->err->msg_code != JWRN_EXTRANEOUS_DATA) Leave(codec);
    reinterpret_cast<ErrorTrap*>(codec->err)->has_junk = true;
  }
  static void Ignore(j_common_ptr) {}

  jpeg_error_mgr* Install() {
    jpeg_std_error(&manager);
    manager.error_exit = Leave;
    manager.emit_message = Emit;
    manager.output_message = Ignore;
    return &manager;
  }
};

// What is used on both sides of the jump lives outside of the function that sets it.
struct Decoder {
  jpeg_decompress_struct codec = {};
  ErrorTrap trap;
  Image image;
  std::vector<uint8_t> inks;  // a row of CMYK
  bool too_large = false;
};

bool HasInks(const jpeg_decompress_struct& codec) {
  return codec.jpeg_color_space == JCS_CMYK || codec.jpeg_color_space == JCS_YCCK;
}

void InksToRgb(const uint8_t* cmyk, int64_t width, bool inverted, uint8_t* rgb) {
  const int flip = inverted ? 0 : 255;
  for (int64_t i = 0; i < width; ++i, cmyk += 4) {
    const int white = cmyk[3] ^ flip;  // 255 minus the ink; flip 255 is the same as the subtraction
    for (int c = 0; c < 3; ++c) *rgb++ = static_cast<uint8_t>(((cmyk[c] ^ flip) * white + 127) / 255);
  }
}

// False where libjpeg gave up; the trap has its message. Nothing in this function has a destructor, since the jump
// would pass it by.
bool Decode(absl::Span<const uint8_t> bytes, Decoder& decoder) {
  jpeg_decompress_struct& codec = decoder.codec;
  codec.err = decoder.trap.Install();
  if (setjmp(decoder.trap.back) != 0) return false;
  jpeg_create_decompress(&codec);
  jpeg_mem_src(&codec, bytes.data(), bytes.size());
  jpeg_read_header(&codec, TRUE);
  decoder.too_large = IsTooLarge(codec.image_height, codec.image_width);
  if (decoder.too_large) return false;
  codec.out_color_space = HasInks(codec) ? JCS_CMYK : JCS_RGB;
  // The slow, exact transform: the same pixels on every machine.
  codec.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&codec);
  decoder.image.shape = {codec.output_height, codec.output_width, 3};
  decoder.image.pixels.resize(decoder.image.shape.features());
  if (HasInks(codec)) decoder.inks.resize(size_t{4} * codec.output_width);
  while (codec.output_scanline < codec.output_height) {
    uint8_t* rgb = decoder.image.pixels.data() + int64_t{codec.output_scanline} * codec.output_width * 3;
    JSAMPROW row = HasInks(codec) ? decoder.inks.data() : rgb;
    jpeg_read_scanlines(&codec, &row, 1);
    if (HasInks(codec)) InksToRgb(row, codec.output_width, codec.saw_Adobe_marker, rgb);
  }
  jpeg_finish_decompress(&codec);
  if (codec.src->bytes_in_buffer > 0) decoder.trap.has_junk = true;
  return true;
}

}  // namespace

absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes, bool* has_junk) {
  if (bytes.size() < 2 || bytes[0] != 0xff || bytes[1] != 0xd8) {
    return absl::InvalidArgumentError("not a JPEG file");
  }
  Decoder decoder;
  const bool decoded = Decode(bytes, decoder);
  jpeg_destroy_decompress(&decoder.codec);
  if (has_junk != nullptr) *has_junk = decoder.trap.has_junk;
  if (decoded) return std::move(decoder.image);
  if (decoder.too_large) return TooLargeError();
  return absl::DataLossError(absl::StrCat("truncated or damaged (", decoder.trap.message, ")"));
}

}  // namespace bitgrad
