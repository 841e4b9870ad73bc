// Elementwise functions of floats, in the runtime's formulas and order of operations.

#include "bitgrad/export/c_code/c_kernels.h"

namespace bitgrad {

std::vector<CKernel> FloatKernels() {
  return {
      {"pixels_to_floats", {}, R"c(
/* (multiplier * p + offset) / divisor. */
static void net_pixels_to_floats(int32_t n, float multiplier, float offset, float divisor, const uint8_t *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const float product = multiplier * (float)x[i];
    y[i] = (product + offset) / divisor;
  }
}
)c"},
      {"batch_norm", {}, R"c(
/* ((x - mean) * inv_std) * gamma + beta, each operation rounded. */
static void net_batch_norm(int32_t rows, int32_t cols, const float *mean, const float *inv_std, const float *gamma,
                           const float *beta, const float *x, float *y) {
  int32_t i, j;
  for (i = 0; i < rows; ++i, x += cols, y += cols) {
    for (j = 0; j < cols; ++j) {
      float v = x[j] - mean[j];
      v = v * inv_std[j];
      v = v * gamma[j];
      y[j] = v + beta[j];
    }
  }
}
)c"},
      {"relu", {}, R"c(
static void net_relu(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i] <= 0.0f ? 0.0f : x[i];
}
)c"},
      {"leaky_relu", {}, R"c(
static void net_leaky_relu(int32_t n, float slope, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i] > 0.0f ? x[i] : slope * x[i];
}
)c"},
      {"hardtanh", {}, R"c(
static void net_hardtanh(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = x[i] < -1.0f ? -1.0f : x[i] > 1.0f ? 1.0f : x[i];
}
)c"},
      {"bits_of_float", {}, R"c(
typedef union {
  float value;
  uint32_t bits;
} net_float_bits;

static uint32_t net_bits_of_float(float x) {
  net_float_bits f;
  f.value = x;
  return f.bits;
}

static float net_float_of_bits(uint32_t x) {
  net_float_bits f;
  f.bits = x;
  return f.value;
}
)c"},
      {"exponential", {"bits_of_float"}, R"c(
/* e^x: x = n ln 2 + r with a whole n, and e^x = 2^n e^r by a polynomial. */
static float net_exponential(float x) {
  const float low = x < -104.0f ? -104.0f : x;
  const float clipped = low > 89.0f ? 89.0f : low;
  const float round = 12582912.0f; /* 1.5 * 2^23: the sum has the nearest whole number in its last bits */
  const float shifted = clipped * 1.44269504f + round;
  const float n = shifted - round;
  const float r = (clipped - n * 0.693359375f) - n * -2.12194440e-4f;
  const uint32_t exponent = net_bits_of_float(shifted) - net_bits_of_float(round);
  /* Half of it, rounded down; it may be negative. */
  const uint32_t half = (exponent >> 1) | (exponent & 0x80000000u);
  float q = 1.9875691500e-4f, e;
  q = q * r + 1.3981999507e-3f;
  q = q * r + 8.3334519073e-3f;
  q = q * r + 4.1665795894e-2f;
  q = q * r + 1.6666665459e-1f;
  q = q * r + 5.0000001201e-1f;
  e = 1.0f + (r + (r * r) * q);
  return e * net_float_of_bits((half + 127u) << 23) * net_float_of_bits((exponent - half + 127u) << 23);
}
)c"},
      {"sigmoid", {"exponential"}, R"c(
static void net_sigmoid(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = 1.0f / (1.0f + net_exponential(-x[i]));
}
)c"},
      {"tanh", {"exponential"}, R"c(
static void net_tanh(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const uint32_t bits = net_bits_of_float(x[i]);
    const float size = net_float_of_bits(bits & 0x7fffffffu);
    const float square = size * size;
    float p = -5.70498872745e-3f, small, large;
    p = p * square + 2.06390887954e-2f;
    p = p * square - 5.37397155531e-2f;
    p = p * square + 1.33314422036e-1f;
    p = p * square - 3.33332819422e-1f;
    small = size + size * (square * p);
    large = 1.0f - 2.0f / (1.0f + net_exponential(size + size));
    y[i] = net_float_of_bits(net_bits_of_float(size < 0.625f ? small : large) | (bits & 0x80000000u));
  }
}
)c"},
      {"add_floats", {}, R"c(
/* b repeats after m elements. */
static void net_add_floats(int32_t n, int32_t m, const float *a, const float *b, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = a[i] + b[i % m];
}
)c"},
      {"sub_floats", {}, R"c(
/* b repeats after m elements. */
static void net_sub_floats(int32_t n, int32_t m, const float *a, const float *b, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = a[i] - b[i % m];
}
)c"},
      {"mul_floats", {}, R"c(
/* b repeats after m elements. */
static void net_mul_floats(int32_t n, int32_t m, const float *a, const float *b, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) y[i] = a[i] * b[i % m];
}
)c"},
      {"copy_columns", {}, R"c(
/* A matrix [rows, cols] whose rows are x_stride apart to one whose rows are y_stride apart. */
static void net_copy_columns(int32_t rows, int32_t cols, int32_t x_stride, const float *x, int32_t y_stride, float *y) {
  int32_t i, j;
  for (i = 0; i < rows; ++i) {
    for (j = 0; j < cols; ++j) y[i * y_stride + j] = x[i * x_stride + j];
  }
}
)c"},
      {"round_half", {"bits_of_float"}, R"c(
/* IEEE binary16, to nearest, halves to even. */
static void net_round_half(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const uint32_t bits = net_bits_of_float(x[i]), size = bits & 0x7fffffffu, sign = bits & 0x80000000u;
    const uint32_t normal = (size + 0xfffu + ((size >> 13) & 1u)) & ~0x1fffu;
    /* The floats from 0.5 on are multiples of 2^-24 here, so that the sum rounds as subnormal halves do. */
    const float moved = net_float_of_bits(size) + 0.5f;
    const uint32_t finite = size < 0x38800000u ? net_bits_of_float(moved - 0.5f) : normal;
    const uint32_t result = size < 0x477ff000u ? finite : 0x7f800000u;
    y[i] = net_float_of_bits((size > 0x7f800000u ? size : result) | sign);
  }
}
)c"},
      {"round_bfloat16", {"bits_of_float"}, R"c(
/* bfloat16, to nearest, halves to even. */
static void net_round_bfloat16(int32_t n, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const uint32_t bits = net_bits_of_float(x[i]), size = bits & 0x7fffffffu;
    const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) & ~0xffffu;
    y[i] = net_float_of_bits(size > 0x7f800000u ? bits : rounded);
  }
}
)c"},
      {"round_fixed", {"bits_of_float"}, R"c(
/* clamp(round(x * steps), -most, most) * step, halves to even: 2^23 added to and taken from a size below it leaves the
   nearest whole number, and larger ones are whole. */
static void net_round_fixed(int32_t n, float steps, float step, float most, const float *x, float *y) {
  int32_t i;
  for (i = 0; i < n; ++i) {
    const float scaled = x[i] * steps;
    const float clipped = scaled < -most ? -most : scaled > most ? most : scaled;
    const uint32_t sign = net_bits_of_float(clipped) & 0x80000000u;
    const float size = net_float_of_bits(net_bits_of_float(clipped) ^ sign);
    const float moved = size + 8388608.0f;
    const float whole = size < 8388608.0f ? moved - 8388608.0f : size;
    y[i] = net_float_of_bits(net_bits_of_float(whole) | sign) * step;
  }
}
)c"},
      {"spline", {}, R"c(
/* A linear spline of each channel: coefficients [channels, knots] on a grid whose middle knot is 0. Beyond its ends the
   outer pieces go on. */
static void net_spline(int32_t n, int32_t channels, int32_t knots, float inverse_step, const float *coefficients,
                       const float *x, float *y) {
  const float middle = (float)(knots / 2);
  int32_t i;
  for (i = 0; i < n; ++i) {
    const float *const c = coefficients + i % channels * knots;
    const float product = x[i] * inverse_step;
    const float place = product + middle;
    /* Towards 0 is down where it is positive. */
    const int32_t piece = !(place > 0.0f) ? 0 : place < (float)(knots - 2) ? (int32_t)place : knots - 2;
    const float weighted = (place - (float)piece) * (c[piece + 1] - c[piece]);
    y[i] = c[piece] + weighted;
  }
}
)c"},
  };
}

}  // namespace bitgrad
