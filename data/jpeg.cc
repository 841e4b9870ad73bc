#include "bitgrad/data/jpeg.h"

// jpeglib.h uses FILE and size_t without including what declares them.
#include <jpeglib.h>

#include <csetjmp>
#include <cstddef>
#include <cstdio>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

constexpr int64_t kMaxSide = 1 << 14;
constexpr int64_t kMaxPixels = 1 << 26;

// Where libjpeg's errors and warnings lead: back to setjmp(), with the message kept.
struct ErrorTrap {
  jpeg_error_mgr manager;  // first: libjpeg knows the trap by this address
  std::jmp_buf back;
  char message[JMSG_LENGTH_MAX] = "";

  [[noreturn]] static void Leave(j_common_ptr codec) {
    auto* trap = reinterpret_cast<ErrorTrap*>(codec->err);
    codec->err->format_message(codec, trap->message);
    std::longjmp(trap->back, 1);
  }
  // Level -1 is a warning: data are missing or damaged, and libjpeg would go on with what it makes up.
  static void Emit(j_common_ptr codec, int level) {
    if (level < 0) Leave(codec);
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
  std::vector<uint8_t*> rows;
  bool too_large = false;
};

// False where libjpeg gave up; the trap has its message. Nothing here has a destructor that the jump would pass by.
bool Decode(absl::Span<const uint8_t> bytes, Decoder& decoder) {
  jpeg_decompress_struct& codec = decoder.codec;
  codec.err = decoder.trap.Install();
  if (setjmp(decoder.trap.back) != 0) return false;
  jpeg_create_decompress(&codec);
  jpeg_mem_src(&codec, bytes.data(), bytes.size());
  jpeg_read_header(&codec, TRUE);
  decoder.too_large = codec.image_width > kMaxSide || codec.image_height > kMaxSide ||
                      int64_t{codec.image_width} * codec.image_height > kMaxPixels;
  if (decoder.too_large) return false;
  codec.out_color_space = JCS_RGB;
  // The slow, exact transform: the same pixels on every machine.
  codec.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&codec);
  decoder.image.shape = {codec.output_height, codec.output_width, codec.output_components};
  decoder.image.pixels.resize(decoder.image.shape.features());
  while (codec.output_scanline < codec.output_height) {
    JSAMPROW row =
        decoder.image.pixels.data() + int64_t{codec.output_scanline} * codec.output_width * codec.output_components;
    jpeg_read_scanlines(&codec, &row, 1);
  }
  jpeg_finish_decompress(&codec);
  return true;
}

}  // namespace

absl::StatusOr<Image> DecodeJpeg(absl::Span<const uint8_t> bytes) {
  if (bytes.size() < 2 || bytes[0] != 0xff || bytes[1] != 0xd8) {
    return absl::InvalidArgumentError("not a JPEG file");
  }
  Decoder decoder;
  const bool decoded = Decode(bytes, decoder);
  const bool no_rgb = decoder.codec.jpeg_color_space == JCS_CMYK || decoder.codec.jpeg_color_space == JCS_YCCK;
  jpeg_destroy_decompress(&decoder.codec);
  if (decoded) return std::move(decoder.image);
  if (decoder.too_large) {
    return absl::InvalidArgumentError(
        absl::StrCat("it has more than ", kMaxSide, " pixels a side, or ", kMaxPixels, " in all; make it smaller"));
  }
  if (no_rgb) return absl::InvalidArgumentError("its colours (CMYK) cannot become RGB; convert it");
  return absl::DataLossError(absl::StrCat("truncated or damaged (", decoder.trap.message, ")"));
}

}  // namespace bitgrad
