// The instructions of a packed model as nodes of an ONNX graph: each function adds those of instruction i, and sets its
// value. Errors are OnnxValues::Refuse()'s.

#ifndef BITGRAD_EXPORT_ONNX_STEPS_H_
#define BITGRAD_EXPORT_ONNX_STEPS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/export/onnx_values.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

absl::Status AddOnnxQuantize(OnnxValues& values, int i);    // onnx_quantizers.cc
absl::Status AddOnnxLinear(OnnxValues& values, int i);      // onnx_products.cc
absl::Status AddOnnxConv2d(OnnxValues& values, int i);      // onnx_products.cc
absl::Status AddOnnxTapConv2d(OnnxValues& values, int i);   // onnx_products.cc
absl::Status AddOnnxPool(OnnxValues& values, int i);        // onnx_pools.cc
absl::Status AddOnnxFixedPoint(OnnxValues& values, int i);  // onnx_shifts.cc
absl::Status AddOnnxShifts(OnnxValues& values, int i);      // onnx_shifts.cc: shift_add, shift_concat
// Everything else but embedding and state: onnx_elementwise.cc.
absl::Status AddOnnxElementwise(OnnxValues& values, int i);

// ---- What they share

// Integer sums, one for each output, of floats or, where they may exceed 2^24, of doubles or int64.
struct OnnxSums {
  std::string tensor;
  onnx::TensorProto::DataType type = onnx::TensorProto::FLOAT;
  bool is_exact = true;  // whether they are integers without a rounding
};

// Sets value i + 1 to the codes of which the sums reach the thresholds (message Threshold). REQUIRES: the sums are
// exact floats.
absl::Status AddOnnxThreshold(OnnxValues& values, int i, const packed::Threshold& threshold, const std::string& sums,
                              ImageLayout layout);
// #{l : x >= thresholds[l]} in floats. thresholds[l] is a tensor that broadcasts to x.
std::string CountReached(OnnxValues& values, const std::string& hint, const std::string& x,
                         const std::vector<std::string>& thresholds);
// c, or most - c + least where the output's flip is set, of codes or what is stored.
std::string Flipped(OnnxValues& values, int i, const std::string& c, int flips, int64_t least, int64_t most,
                    ImageLayout layout);
// Sets value i + 1 to what `requantize` makes of the sums. `shortcut`: the value that is added; -1: none.
absl::Status AddOnnxRequantize(OnnxValues& values, int i, const packed::Requantize& requantize, const OnnxSums& sums,
                               int shortcut, ImageLayout layout);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_STEPS_H_
