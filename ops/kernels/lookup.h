// Table lookup for bytes: it maps pixels to floats or to stored codes (core/encoding.h) without arithmetic per element.

#ifndef BITGRAD_OPS_KERNELS_LOOKUP_H_
#define BITGRAD_OPS_KERNELS_LOOKUP_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"

namespace bitgrad {

// y[i] = table[x[i]].   table [256]; x, y [count]
using LookUpF32 = void(ExecContext& context, const float* table, const uint8_t* x, float* y, int64_t count);
using LookUpU8 = void(ExecContext& context, const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t count);

// y[i, c] = tables[c, x[i, c]].   tables [channels, 256]; x, y [rows, channels]
using LookUpChannels = void(ExecContext& context, const uint8_t* tables, const uint8_t* x, uint8_t* y, int64_t rows,
                            int64_t channels);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_LOOKUP_H_
