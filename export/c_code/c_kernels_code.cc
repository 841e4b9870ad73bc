// Codes from one form to another, and fixed-point codes.

#include "bitgrad/export/c_code/c_kernels.h"

namespace bitgrad {

std::vector<CKernel> CodeKernels() {
  return {
      {"bits_to_codes", {}, R"c(
static void net_bits_to_codes(int32_t n, const uint32_t *x, uint8_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = (uint8_t)(x[i / 32] >> (i % 32) & 1);
}
)c"},
      {"codes_to_bits", {}, R"c(
/* y is all 0. */
static void net_codes_to_bits(int32_t n, const uint8_t *x, uint32_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i / 32] |= (uint32_t)(x[i] & 1) << (i % 32);
}
)c"},
      {"bits_to_floats", {}, R"c(
/* -scale for 0, scale for 1. */
static void net_bits_to_floats(int32_t n, float scale, const uint32_t *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i / 32] >> (i % 32) & 1 ? scale : -scale;
}
)c"},
      {"codes_to_floats", {}, R"c(
/* (least + step * c) * scale. */
static void net_codes_to_floats(int32_t n, int32_t least, int32_t step, float scale, const uint8_t *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = (float)(least + step * x[i]) * scale;
}
)c"},
      {"log_to_floats", {}, R"c(
static void net_log_to_floats(int32_t n, const float *value_of, const uint8_t *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = value_of[x[i]];
}
)c"},
      {"bits_to_result", {}, R"c(
static void net_bits_to_result(int32_t n, const uint32_t *x, int32_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i / 32] >> (i % 32) & 1 ? 1 : -1;
}
)c"},
      {"codes_to_result", {}, R"c(
static void net_codes_to_result(int32_t n, const int32_t *code_of, const uint8_t *x, int32_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = code_of[x[i]];
}
)c"},
      {"look_up", {}, R"c(
/* y[i] = the code of pixel x[i] in channel i % channels; table [channels, 256]. */
static void net_look_up(int32_t n, int32_t channels, const uint8_t *table, const uint8_t *x, uint8_t *y) {
  int32_t i, c;
  for (i = 0; i < n; i += channels) {
    for (c = 0; c < channels; ++c) y[i + c] = table[c * 256 + x[i + c]];
  }
}
)c"},
      {"embed_bits", {"or_bits"}, R"c(
/* Row `token` of a table of bits; y is all 0. */
static void net_embed_bits(int32_t token, int32_t width, const uint32_t *table, uint32_t *y) {
  net_or_bits(table, token * width, width, y, 0);
}
)c"},
      {"embed_codes", {}, R"c(
/* Row `token` of a table of stored codes: `bits` planes of `words` words, all rows one behind the other. */
static void net_embed_codes(int32_t token, int32_t width, int32_t bits, int32_t words, const uint32_t *table,
                            uint8_t *y) {
  int32_t i, b;
  for (i = 0; i < width; ++i) {
    const int32_t at = token * width + i;
    uint32_t c = 0;
    for (b = 0; b < bits; ++b) c |= (table[b * words + at / 32] >> (at % 32) & 1) << b;
    y[i] = (uint8_t)c;
  }
}
)c"},
      {"shift_add", {"stored_code"}, R"c(
/* The stored code of clamp(((a_least + a) 2^a_shift + (b_least + b) 2^b_shift) / 2^shift, least, most). */
static void net_shift_add(int32_t n, int32_t a_least, int32_t a_shift, int32_t b_least, int32_t b_shift, int32_t shift,
                          int32_t least, int32_t most, const uint8_t *a, const uint8_t *b, uint8_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const int32_t sum = net_shift_right(a_least + a[i], -a_shift) + net_shift_right(b_least + b[i], -b_shift);
    y[i] = net_stored_code(sum, shift, least, most);
  }
}
)c"},
      {"shift_columns", {"stored_code"}, R"c(
/* Columns of y, which has rows of `stride`: the stored codes of clamp((x_least + x) / 2^shift, least, most). */
static void net_shift_columns(int32_t rows, int32_t cols, int32_t x_least, int32_t shift, int32_t least, int32_t most,
                              const uint8_t *x, int32_t stride, uint8_t *y) {
  int32_t i, j;
  for (i = 0; i < rows; ++i) {
    for (j = 0; j < cols; ++j) y[i * stride + j] = net_stored_code(x_least + x[i * cols + j], shift, least, most);
  }
}
)c"},
      {"steps", {}, R"c(
/* The number of the ascending limits that x reaches; 0 for a NaN. */
static int32_t net_steps(int32_t levels, const float *limits, float x) {
  int32_t low = 0, high = levels;
  while (low < high) {
    const int32_t middle = (low + high) / 2;
    if (x >= limits[middle]) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}
)c"},
      {"quantize_codes", {"steps"}, R"c(
/* y[i] = the stored code of x[i]: `first` plus the number of limits that it reaches, or `of_nan`. */
static void net_quantize_codes(int32_t n, int32_t levels, const float *limits, int32_t first, int32_t of_nan,
                               const float *x, uint8_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = (uint8_t)(x[i] == x[i] ? first + net_steps(levels, limits, x[i]) : of_nan);
}
)c"},
      {"quantize_bits", {}, R"c(
/* Bit i of y, which is all 0: x[i] >= limit. */
static void net_quantize_bits(int32_t n, float limit, const float *x, uint32_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i / 32] |= (uint32_t)(x[i] >= limit) << (i % 32);
}
)c"},
      {"quantize_values", {"steps"}, R"c(
/* y[i] = values[the number of limits that x[i] reaches]; a NaN stays one. */
static void net_quantize_values(int32_t n, int32_t levels, const float *limits, const float *values, const float *x,
                                float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i] == x[i] ? values[net_steps(levels, limits, x[i])] : x[i];
}
)c"},
      {"fixed_point", {"steps"}, R"c(
/* y[i] = the stored code of clamp(round((x[i] - mean[c]) * inv_std[c] * power)), halves to even, c = i % channels: the
   number of limits that the product reaches. */
static void net_fixed_point(int32_t n, int32_t channels, const float *mean, const float *inv_std, float power,
                            int32_t levels, const float *limits, const float *x, uint8_t *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    float v = x[i];
    if (mean != 0) {
      v = v - mean[i % channels];
      v = v * inv_std[i % channels];
    }
    y[i] = (uint8_t)net_steps(levels, limits, v * power);
  }
}
)c"},
  };
}

}  // namespace bitgrad
