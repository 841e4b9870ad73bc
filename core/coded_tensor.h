// CodedTensor: a tensor of few-bit values, as integer codes and a scale. value = code * scale (core/encoding.h).
//
// It is a matrix: a row of it is a row of the last dimension or, for images [N, H, W, C] and filters [O, R, S, C], a
// whole image or filter. Binary codes are bits; all others are bytes, each the unsigned c of core/encoding.h.

#ifndef BITGRAD_CORE_CODED_TENSOR_H_
#define BITGRAD_CORE_CODED_TENSOR_H_

#include <memory>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

struct CodedTensor {
  Encoding encoding;                      // of integers
  Shape matrix;                           // [rows, cols]
  std::shared_ptr<const BitMatrix> bits;  // of binary codes; otherwise null
  Tensor codes;                           // uint8 [rows, cols]; null for binary codes
  // The scale is `factor`, times `scale` where that is not null: one float for the tensor, [1], or one for each row,
  // [rows]. It stays on the device, so that nobody waits for it.
  float factor = 1.0f;
  Tensor scale;

  bool is_binary() const { return bits != nullptr; }
  ScaleView scale_view() const {
    if (scale.is_null()) return ScaleView(factor);
    return ScaleView(factor, scale.data<float>(), scale.num_elements() == 1 ? 0 : 1);
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_CODED_TENSOR_H_
