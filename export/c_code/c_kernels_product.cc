// Sums of products: all filters of one output pixel (p, q) of a convolution.

#include "bitgrad/export/c_code/c_kernels.h"

namespace bitgrad {

std::vector<CKernel> ProductKernels() {
  return {
      {"xnor_sums", {"popcount_xor", "popcount_and", "gather_bits"}, R"c(
/* sums[o] = sum_k x_k w_k of -1 and +1, which bits 0 and 1 stand for; x_k is `border` outside of the image. weight
   [filters, words]. */
static void net_xnor_sums(const net_conv *c, const uint32_t *weight, int32_t border, const uint32_t *x, int32_t p,
                          int32_t q, uint32_t *patch, uint32_t *outside, int32_t *sums) {
  const int32_t terms = net_terms(c), words = (terms + 31) / 32, filters = c->filters / c->groups;
  int32_t g, o;
  for (g = 0; g < c->groups; ++g) {
    const int32_t count = net_gather_bits(c, x, p, q, g, patch, outside);
    for (o = 0; o < filters; ++o, weight += words) {
      int32_t sum = terms - 2 * net_popcount_xor(patch, weight, words);
      /* Outside of the image the patch is -1. */
      if (count > 0) sum += (border + 1) * (2 * net_popcount_and(outside, weight, words) - count);
      *sums++ = sum;
    }
  }
}
)c"},
      {"plane_shape", {}, R"c(
/* A product of bit planes. Operand and weights are x = x_least + x_step c and w = w_least + w_step c of stored codes c,
   of which plane b holds bit b; the operand is `border` outside of the image. */
typedef struct {
  int32_t x_bits, x_least, x_step, w_bits, w_least, w_step, border;
} net_planes;
)c"},
      {"plane_sums_of_patch", {"plane_shape", "terms", "popcount_and"}, R"c(
/* sums[o] = sum_k x_k w_k of a patch of planes, in which c is 0 for the `count` terms that are outside of the image.
   With C_x, C_w the stored codes, over those inside for x:
     sum_k x_k w_k = x_step (w_step sum C_x C_w + w_least sum C_x) + x_least sum w + (border - x_least) sum_outside w
   weight [filters, w_bits, words]; totals [filters]: x_least sum_k w_k, null where x_least is 0. */
static void net_plane_sums_of_patch(const net_conv *c, const net_planes *f, const uint32_t *weight,
                                    const int32_t *totals, int32_t g, const uint32_t *patch, int32_t count,
                                    const uint32_t *outside, int32_t *sums) {
  const int32_t words = (net_terms(c) + 31) / 32, filters = c->filters / c->groups;
  int32_t o, a, b, codes = 0;
  for (a = 0; a < f->x_bits; ++a) codes += net_popcount_and(patch + a * words, patch + a * words, words) << a;
  weight += g * filters * f->w_bits * words;
  for (o = g * filters; o < (g + 1) * filters; ++o, weight += f->w_bits * words) {
    int32_t products = 0;
    for (b = 0; b < f->w_bits; ++b) {
      for (a = 0; a < f->x_bits; ++a) {
        products += net_popcount_and(patch + a * words, weight + b * words, words) << (a + b);
      }
    }
    sums[o] = f->x_step * (f->w_step * products + f->w_least * codes) + (totals == 0 ? 0 : totals[o]);
    if (count > 0 && f->border != f->x_least) {
      int32_t weights = 0;
      for (b = 0; b < f->w_bits; ++b) weights += net_popcount_and(outside, weight + b * words, words) << b;
      sums[o] += (f->border - f->x_least) * (f->w_step * weights + f->w_least * count);
    }
  }
}
)c"},
      {"plane_sums", {"plane_sums_of_patch", "gather_planes"}, R"c(
/* The same of an image of stored codes. */
static void net_plane_sums(const net_conv *c, const net_planes *f, const uint32_t *weight, const int32_t *totals,
                           const uint8_t *x, int32_t p, int32_t q, uint32_t *patch, uint32_t *outside, int32_t *sums) {
  int32_t g;
  for (g = 0; g < c->groups; ++g) {
    const int32_t count = net_gather_planes(c, f->x_bits, x, p, q, g, patch, outside);
    net_plane_sums_of_patch(c, f, weight, totals, g, patch, count, outside, sums);
  }
}
)c"},
      {"plane_sums_of_bits", {"plane_sums_of_patch", "gather_bits"}, R"c(
/* The same of an image of bits. */
static void net_plane_sums_of_bits(const net_conv *c, const net_planes *f, const uint32_t *weight,
                                   const int32_t *totals, const uint32_t *x, int32_t p, int32_t q, uint32_t *patch,
                                   uint32_t *outside, int32_t *sums) {
  int32_t g;
  for (g = 0; g < c->groups; ++g) {
    const int32_t count = net_gather_bits(c, x, p, q, g, patch, outside);
    net_plane_sums_of_patch(c, f, weight, totals, g, patch, count, outside, sums);
  }
}
)c"},
      {"code_shape", {}, R"c(
/* A product of codes x = x_least + x_step c and w = w_least + w_step c; x is `border` outside of the image. */
typedef struct {
  int32_t x_least, x_step, w_least, w_step, border;
} net_codes;
)c"},
      {"byte_sums", {"code_shape", "terms", "gather_codes"}, R"c(
/* sums[o] = sum_k x_k w_k = w_step sum_k x_k c_k + w_least sum_k x_k. weight [filters, terms]: the stored codes. */
static void net_byte_sums(const net_conv *c, const net_codes *f, const uint8_t *weight, const uint8_t *x, int32_t p,
                          int32_t q, int16_t *patch, int32_t *sums) {
  const int32_t terms = net_terms(c), filters = c->filters / c->groups;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    const int32_t codes = net_gather_codes(c, f->x_least, f->x_step, f->border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o, weight += terms) {
      int32_t products = 0;
      for (i = 0; i < terms; ++i) products += patch[i] * weight[i];
      *sums++ = f->w_step * products + f->w_least * codes;
    }
  }
}
)c"},
      {"nibble_sums", {"code_shape", "terms", "gather_codes"}, R"c(
/* The same with two weights in a byte: weight [filters, half], half = terms / 2 rounded up. Byte i has the stored code
   of term i in its lower four bits, that of term i + half in its upper four. */
static void net_nibble_sums(const net_conv *c, const net_codes *f, const uint8_t *weight, const uint8_t *x, int32_t p,
                            int32_t q, int16_t *patch, int32_t *sums) {
  const int32_t half = (net_terms(c) + 1) / 2, filters = c->filters / c->groups;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    const int32_t codes = net_gather_codes(c, f->x_least, f->x_step, f->border, x, p, q, g, patch);
    if (net_terms(c) % 2 != 0) patch[2 * half - 1] = 0;
    for (o = 0; o < filters; ++o, weight += half) {
      int32_t products = 0;
      for (i = 0; i < half; ++i) products += patch[i] * (weight[i] & 15) + patch[i + half] * (weight[i] >> 4);
      *sums++ = f->w_step * products + f->w_least * codes;
    }
  }
}
)c"},
      {"weight_at", {}, R"c(
/* The stored code of weight i of a row of `half` bytes, two in each: byte i % half, the lower four bits first. */
static int32_t net_weight_at(const uint8_t *row, int32_t i, int32_t half) {
  return i < half ? row[i] & 15 : row[i - half] >> 4;
}
)c"},
      {"log_shape", {}, R"c(
/* A product of which an operand is logarithmic codes, 0 and +-2^e. Weights are stored in `w_nibbles` ? 4 : 8 bits. */
typedef struct {
  int32_t w_nibbles, w_least, w_step; /* where the weights are not logarithmic: w = w_least + w_step c */
  int32_t w_middle, w_has_zero;        /* otherwise: the c of rank 0, or of rank 1 where there is no 0 */
  int32_t border;
} net_log;
)c"},
      {"shifted", {}, R"c(
/* x times the logarithmic weight of rank r: 0 for r = 0, otherwise +-x shifted by |r| - 1. The multiplication is by a
   power of two, because C does not define the shift of a negative number. */
static int64_t net_shifted(int64_t x, int32_t r) {
  if (r == 0) return 0;
  return r > 0 ? x * ((int64_t)1 << (r - 1)) : -x * ((int64_t)1 << (-r - 1));
}
)c"},
      {"log_sums", {"log_shape", "shifted", "weight_at", "terms", "gather_log"}, R"c(
/* sums[o] = sum_k x_k w_k with logarithmic weights, in shifts and additions. code_of: the codes of the operand. */
static void net_log_sums(const net_conv *c, const net_log *f, const int32_t *code_of, const uint8_t *weight,
                         const uint8_t *x, int32_t p, int32_t q, int32_t *patch, int64_t *sums) {
  const int32_t terms = net_terms(c), filters = c->filters / c->groups;
  const int32_t row = f->w_nibbles ? (terms + 1) / 2 : terms;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    net_gather_log(c, code_of, f->border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o, weight += row) {
      int64_t sum = 0;
      for (i = 0; i < terms; ++i) {
        const int32_t r = (f->w_nibbles ? net_weight_at(weight, i, row) : weight[i]) - f->w_middle;
        sum += net_shifted(patch[i], f->w_has_zero || r < 0 ? r : r + 1);
      }
      *sums++ = sum;
    }
  }
}
)c"},
      {"log_operand_sums", {"log_shape", "weight_at", "terms", "gather_log"}, R"c(
/* The same with a logarithmic operand and other weights. */
static void net_log_operand_sums(const net_conv *c, const net_log *f, const int32_t *code_of, const uint8_t *weight,
                                 const uint8_t *x, int32_t p, int32_t q, int32_t *patch, int64_t *sums) {
  const int32_t terms = net_terms(c), filters = c->filters / c->groups;
  const int32_t row = f->w_nibbles ? (terms + 1) / 2 : terms;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    net_gather_log(c, code_of, f->border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o, weight += row) {
      int64_t sum = 0;
      for (i = 0; i < terms; ++i) {
        const int32_t stored = f->w_nibbles ? net_weight_at(weight, i, row) : weight[i];
        sum += (int64_t)patch[i] * (f->w_least + f->w_step * stored);
      }
      *sums++ = sum;
    }
  }
}
)c"},
      {"tap_sums", {"place"}, R"c(
/* Kernels of one tap each: sums[o] = sum_i w[o, i] x[the pixel under tap taps[o, i], i], with x = x_least + x_step c,
   w = code_of[weight]. A tap beyond the last one stands for a kernel of zeros. weight, taps [filters, channels]. */
static void net_tap_sums(const net_conv *c, int32_t x_least, int32_t x_step, const int32_t *code_of,
                         const uint8_t *weight, const uint8_t *taps, const uint8_t *x, int32_t p, int32_t q,
                         int32_t *sums) {
  int32_t o, i;
  for (o = 0; o < c->filters; ++o) {
    int32_t sum = 0;
    for (i = 0; i < c->channels; ++i) {
      const int32_t tap = *taps++, stored = *weight++;
      const int32_t place = tap < c->kernel_height * c->kernel_width
                                ? net_place(c, p, q, tap / c->kernel_width, tap % c->kernel_width)
                                : -1;
      if (place >= 0) sum += code_of[stored] * (x_least + x_step * x[place * c->channels + i]);
    }
    sums[o] = sum;
  }
}
)c"},
      {"float_tap_sums", {"place"}, R"c(
/* The same in floats; weight [filters, channels]. */
static void net_float_tap_sums(const net_conv *c, const float *weight, const uint8_t *taps, const float *x, int32_t p,
                               int32_t q, float *sums) {
  int32_t o, i;
  for (o = 0; o < c->filters; ++o) {
    float sum = 0.0f;
    for (i = 0; i < c->channels; ++i) {
      const int32_t tap = *taps++;
      const float w = *weight++;
      const int32_t place = tap < c->kernel_height * c->kernel_width
                                ? net_place(c, p, q, tap / c->kernel_width, tap % c->kernel_width)
                                : -1;
      if (place >= 0) sum += w * x[place * c->channels + i];
    }
    sums[o] = sum;
  }
}
)c"},
      {"float_sums", {"terms", "gather_floats"}, R"c(
/* sums[o] = sum_k x_k w_k in floats, term by term; x is `border` outside of the image. weight [filters, terms]. */
static void net_float_sums(const net_conv *c, const float *weight, float border, const float *x, int32_t p, int32_t q,
                           float *patch, float *sums) {
  const int32_t terms = net_terms(c), filters = c->filters / c->groups;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    net_gather_floats(c, border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o) {
      float sum = 0.0f;
      for (i = 0; i < terms; ++i) sum += patch[i] * *weight++;
      *sums++ = sum;
    }
  }
}
)c"},
      {"float_sign_sums", {"terms", "gather_floats"}, R"c(
/* The same with the weights -1 and +1 of bits; weight [filters, words]. */
static void net_float_sign_sums(const net_conv *c, const uint32_t *weight, float border, const float *x, int32_t p,
                                int32_t q, float *patch, float *sums) {
  const int32_t terms = net_terms(c), words = (terms + 31) / 32, filters = c->filters / c->groups;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    net_gather_floats(c, border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o, weight += words) {
      float sum = 0.0f;
      for (i = 0; i < terms; ++i) sum += weight[i / 32] >> (i % 32) & 1 ? patch[i] : -patch[i];
      *sums++ = sum;
    }
  }
}
)c"},
      {"float_code_sums", {"terms", "gather_floats", "weight_at"}, R"c(
/* The same with the weights code_of[c] of stored codes c, two in a byte where `nibbles`. */
static void net_float_code_sums(const net_conv *c, int32_t nibbles, const float *code_of, const uint8_t *weight,
                                float border, const float *x, int32_t p, int32_t q, float *patch, float *sums) {
  const int32_t terms = net_terms(c), row = nibbles ? (terms + 1) / 2 : terms, filters = c->filters / c->groups;
  int32_t g, o, i;
  for (g = 0; g < c->groups; ++g) {
    net_gather_floats(c, border, x, p, q, g, patch);
    for (o = 0; o < filters; ++o, weight += row) {
      float sum = 0.0f;
      for (i = 0; i < terms; ++i) sum += patch[i] * code_of[nibbles ? net_weight_at(weight, i, row) : weight[i]];
      *sums++ = sum;
    }
  }
}
)c"},
  };
}

}  // namespace bitgrad
