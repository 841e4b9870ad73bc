// What a window of a convolution sees of an image, gathered into one row: its patch.

#include "bitgrad/export/c_code/c_kernels.h"

namespace bitgrad {

std::vector<CKernel> PatchKernels() {
  return {
      {"conv", {}, R"c(
/* The shapes of a convolution or pooling of an image [height, width, channels]. A linear layer is one of 1x1 pixels, of
   an image whose pixels are its rows. Element (h, w, c) of an image is number (h * width + w) * channels + c. */
typedef struct {
  int32_t height, width, channels;
  int32_t kernel_height, kernel_width, stride_height, stride_width;
  int32_t pad_height, pad_width, dilation_height, dilation_width;
  int32_t groups, filters, out_height, out_width;
} net_conv;
)c"},
      {"place", {"conv"}, R"c(
/* The pixel of the image under element (r, s) of the window of output (p, q); -1 where it lies outside. */
static int32_t net_place(const net_conv *c, int32_t p, int32_t q, int32_t r, int32_t s) {
  const int32_t h = p * c->stride_height + r * c->dilation_height - c->pad_height;
  const int32_t w = q * c->stride_width + s * c->dilation_width - c->pad_width;
  return h >= 0 && h < c->height && w >= 0 && w < c->width ? h * c->width + w : -1;
}
)c"},
      {"terms", {"conv"}, R"c(
/* The number of products in a sum of a convolution. */
static int32_t net_terms(const net_conv *c) {
  return c->kernel_height * c->kernel_width * (c->channels / c->groups);
}
)c"},
      {"gather_bits", {"place", "terms", "clear", "or_bits", "set_bits"}, R"c(
/* The bits of image x that output (p, q) of group g sees, with 0 for those outside. Returns the number of the latter;
   where there are any, `outside` has 1 for them. */
static int32_t net_gather_bits(const net_conv *c, const uint32_t *x, int32_t p, int32_t q, int32_t g, uint32_t *patch,
                               uint32_t *outside) {
  const int32_t channels = c->channels / c->groups, words = (net_terms(c) + 31) / 32;
  int32_t r, s, at = 0, count = 0;
  net_clear(patch, words);
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s, at += channels) {
      const int32_t place = net_place(c, p, q, r, s);
      if (place >= 0) {
        net_or_bits(x, place * c->channels + g * channels, channels, patch, at);
        continue;
      }
      if (count == 0) net_clear(outside, words);
      net_set_bits(channels, outside, at);
      count += channels;
    }
  }
  return count;
}
)c"},
      {"gather_planes", {"place", "terms", "clear", "set_bits"}, R"c(
/* The same of an image of stored codes, of which plane b holds bit b: patch [bits, words]. */
static int32_t net_gather_planes(const net_conv *c, int32_t bits, const uint8_t *x, int32_t p, int32_t q, int32_t g,
                                 uint32_t *patch, uint32_t *outside) {
  const int32_t channels = c->channels / c->groups, words = (net_terms(c) + 31) / 32;
  int32_t r, s, i, b, at = 0, count = 0;
  net_clear(patch, bits * words);
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s) {
      const int32_t place = net_place(c, p, q, r, s);
      const uint8_t *from;
      if (place < 0) {
        if (count == 0) net_clear(outside, words);
        net_set_bits(channels, outside, at);
        count += channels;
        at += channels;
        continue;
      }
      from = x + place * c->channels + g * channels;
      for (i = 0; i < channels; ++i, ++at) {
        for (b = 0; b < bits; ++b) patch[b * words + at / 32] |= (uint32_t)(from[i] >> b & 1) << (at % 32);
      }
    }
  }
  return count;
}
)c"},
      {"gather_codes", {"place"}, R"c(
/* The codes least + step * c of the stored codes c that output (p, q) of group g sees, with `border` for those outside.
   Returns their sum. */
static int32_t net_gather_codes(const net_conv *c, int32_t least, int32_t step, int32_t border, const uint8_t *x,
                                int32_t p, int32_t q, int32_t g, int16_t *patch) {
  const int32_t channels = c->channels / c->groups;
  int32_t r, s, i, sum = 0;
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s, patch += channels) {
      const int32_t place = net_place(c, p, q, r, s);
      const uint8_t *const from = x + (place < 0 ? 0 : place * c->channels + g * channels);
      for (i = 0; i < channels; ++i) {
        patch[i] = (int16_t)(place < 0 ? border : least + step * from[i]);
        sum += patch[i];
      }
    }
  }
  return sum;
}
)c"},
      {"gather_log", {"place"}, R"c(
/* The codes code_of[c] of the stored codes c that output (p, q) of group g sees, with `border` for those outside. */
static void net_gather_log(const net_conv *c, const int32_t *code_of, int32_t border, const uint8_t *x, int32_t p,
                           int32_t q, int32_t g, int32_t *patch) {
  const int32_t channels = c->channels / c->groups;
  int32_t r, s, i;
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s, patch += channels) {
      const int32_t place = net_place(c, p, q, r, s);
      const uint8_t *const from = x + (place < 0 ? 0 : place * c->channels + g * channels);
      for (i = 0; i < channels; ++i) patch[i] = place < 0 ? border : code_of[from[i]];
    }
  }
}
)c"},
      {"gather_floats", {"place"}, R"c(
/* The floats that output (p, q) of group g sees, with `border` for those outside. */
static void net_gather_floats(const net_conv *c, float border, const float *x, int32_t p, int32_t q, int32_t g,
                              float *patch) {
  const int32_t channels = c->channels / c->groups;
  int32_t r, s, i;
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s, patch += channels) {
      const int32_t place = net_place(c, p, q, r, s);
      const float *const from = x + (place < 0 ? 0 : place * c->channels + g * channels);
      for (i = 0; i < channels; ++i) patch[i] = place < 0 ? border : from[i];
    }
  }
}
)c"},
  };
}

}  // namespace bitgrad
