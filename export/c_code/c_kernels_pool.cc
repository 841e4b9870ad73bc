// Max and average pooling. A window's elements outside of the image do not take part.

#include "bitgrad/export/c_code/c_kernels.h"

namespace bitgrad {

std::vector<CKernel> PoolKernels() {
  return {
      {"max_bits", {"place", "clear", "or_bits"}, R"c(
/* The largest of -1 and +1 is the or of their bits; flips [channels] are applied to it, null for none. y is all 0. */
static void net_max_bits(const net_conv *c, const uint32_t *flips, const uint32_t *x, uint32_t *row, uint32_t *y) {
  const int32_t words = (c->channels + 31) / 32;
  int32_t p, q, r, s, i, at = 0;
  for (p = 0; p < c->out_height; ++p) {
    for (q = 0; q < c->out_width; ++q, at += c->channels) {
      net_clear(row, words);
      for (r = 0; r < c->kernel_height; ++r) {
        for (s = 0; s < c->kernel_width; ++s) {
          const int32_t place = net_place(c, p, q, r, s);
          if (place >= 0) net_or_bits(x, place * c->channels, c->channels, row, 0);
        }
      }
      if (flips != 0) {
        for (i = 0; i < words; ++i) row[i] ^= flips[i];
      }
      net_or_bits(row, 0, c->channels, y, at);
    }
  }
}
)c"},
      {"max_codes", {"place"}, R"c(
/* The largest stored code of each window, or levels minus it where flips [channels], null for none. */
static void net_max_codes(const net_conv *c, int32_t levels, const uint32_t *flips, const uint8_t *x, uint8_t *y) {
  int32_t p, q, r, s, i;
  for (p = 0; p < c->out_height; ++p) {
    for (q = 0; q < c->out_width; ++q, y += c->channels) {
      for (i = 0; i < c->channels; ++i) y[i] = 0;
      for (r = 0; r < c->kernel_height; ++r) {
        for (s = 0; s < c->kernel_width; ++s) {
          const int32_t place = net_place(c, p, q, r, s);
          if (place < 0) continue;
          for (i = 0; i < c->channels; ++i) {
            const uint8_t v = x[place * c->channels + i];
            if (v > y[i]) y[i] = v;
          }
        }
      }
      if (flips == 0) continue;
      for (i = 0; i < c->channels; ++i) {
        if (flips[i / 32] >> (i % 32) & 1) y[i] = (uint8_t)(levels - y[i]);
      }
    }
  }
}
)c"},
      {"max_floats", {"place"}, R"c(
/* The largest float of each window, or its first NaN. */
static void net_max_floats(const net_conv *c, const float *x, float *y) {
  int32_t p, q, r, s, i;
  for (p = 0; p < c->out_height; ++p) {
    for (q = 0; q < c->out_width; ++q, y += c->channels) {
      int32_t count = 0;
      for (r = 0; r < c->kernel_height; ++r) {
        for (s = 0; s < c->kernel_width; ++s) {
          const int32_t place = net_place(c, p, q, r, s);
          if (place < 0) continue;
          for (i = 0; i < c->channels; ++i) {
            const float v = x[place * c->channels + i];
            if (count == 0 || (!(v <= y[i]) && y[i] == y[i])) y[i] = v;
          }
          ++count;
        }
      }
    }
  }
}
)c"},
      {"window_sums", {"place"}, R"c(
/* sums[i] = the sum of the codes least + step * c of channel i in a window. Returns the number of its pixels. */
static int32_t net_window_sums(const net_conv *c, int32_t least, int32_t step, const uint8_t *x, int32_t p, int32_t q,
                               int32_t *sums) {
  int32_t r, s, i, count = 0;
  for (i = 0; i < c->channels; ++i) sums[i] = 0;
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s) {
      const int32_t place = net_place(c, p, q, r, s);
      if (place < 0) continue;
      ++count;
      for (i = 0; i < c->channels; ++i) sums[i] += least + step * x[place * c->channels + i];
    }
  }
  return count;
}
)c"},
      {"log_window_sums", {"place"}, R"c(
/* The same of the codes code_of[c]. */
static int32_t net_log_window_sums(const net_conv *c, const int32_t *code_of, const uint8_t *x, int32_t p, int32_t q,
                                   int32_t *sums) {
  int32_t r, s, i, count = 0;
  for (i = 0; i < c->channels; ++i) sums[i] = 0;
  for (r = 0; r < c->kernel_height; ++r) {
    for (s = 0; s < c->kernel_width; ++s) {
      const int32_t place = net_place(c, p, q, r, s);
      if (place < 0) continue;
      ++count;
      for (i = 0; i < c->channels; ++i) sums[i] += code_of[x[place * c->channels + i]];
    }
  }
  return count;
}
)c"},
      {"average_floats", {"place"}, R"c(
/* The mean of each window: its elements are added row by row, and the sum is multiplied by 1 / their number. */
static void net_average_floats(const net_conv *c, const float *x, float *y) {
  int32_t p, q, r, s, i;
  for (p = 0; p < c->out_height; ++p) {
    for (q = 0; q < c->out_width; ++q, y += c->channels) {
      int32_t count = 0;
      float reciprocal;
      for (i = 0; i < c->channels; ++i) y[i] = 0.0f;
      for (r = 0; r < c->kernel_height; ++r) {
        for (s = 0; s < c->kernel_width; ++s) {
          const int32_t place = net_place(c, p, q, r, s);
          if (place < 0) continue;
          for (i = 0; i < c->channels; ++i) y[i] += x[place * c->channels + i];
          ++count;
        }
      }
      reciprocal = 1.0f / (float)count;
      for (i = 0; i < c->channels; ++i) y[i] *= reciprocal;
    }
  }
}
)c"},
  };
}

}  // namespace bitgrad
