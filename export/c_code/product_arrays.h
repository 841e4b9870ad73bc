// The weights of products as constant arrays of C, as the kernels read them (c_kernels_product.cc). Each is written
// once, however many instructions read it.

#ifndef BITGRAD_EXPORT_C_CODE_PRODUCT_ARRAYS_H_
#define BITGRAD_EXPORT_C_CODE_PRODUCT_ARRAYS_H_

#include <cstdint>
#include <string>

#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

// uint32_t [filters, bits, words]: the bit planes of each filter. REQUIRES: the blob is of codes, as in all functions.
std::string PlaneArray(CEmitter& c, int blob);
// uint8_t: the stored codes of each filter, two in a byte where they have up to 4 bits: [filters, half] with half =
// terms / 2 rounded up, otherwise [filters, terms].
std::string ByteArray(CEmitter& c, int blob);
// uint8_t [elements]: the stored codes of a blob of one row.
std::string RowOfBytes(CEmitter& c, int blob, absl::string_view what);
// int32_t [filters]: x_least times the sum of the codes of each filter.
std::string WeightTotals(CEmitter& c, int blob, int64_t x_least);

// A net_conv.
std::string ShapeArray(CEmitter& c, const ConvGeometry& geometry);
std::string ShapeArray(CEmitter& c, const PoolGeometry& geometry);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_PRODUCT_ARRAYS_H_
