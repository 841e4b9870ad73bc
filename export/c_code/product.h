// What linear, conv2d and tap_conv2d have in common when they are written as C: their shapes, and what becomes of sums.

#ifndef BITGRAD_EXPORT_C_CODE_PRODUCT_H_
#define BITGRAD_EXPORT_C_CODE_PRODUCT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// What linear and conv2d have in common.
struct Product {
  const PackedModel& model;
  int i;
  ConvGeometry geometry;  // of a linear layer: 1x1, of its rows
  int weight;
  float scale;
  int scales = -1;
  const packed::Threshold* threshold = nullptr;
  const packed::Requantize* requantize = nullptr;

  const PackedValue& x() const { return model.value(model.header().instructions(i).operands(0)); }
  const PackedValue& y() const { return model.value(i + 1); }
  Encoding w() const { return EncodingOf(model.blob(weight)); }
};

// The sums of a pixel in the array `sums`, and the ending of the names of kernels for their type.
struct Sums {
  std::string array, ending;
};

// Writes the loop over output pixels: the calls of `compute`, which fill the sums, and what makes the value of them.
void EmitPixels(CEmitter& c, const Product& product, const Sums& sums, const std::function<void()>& compute);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_PRODUCT_H_
