// The quantizing nodes of ONNX graphs as quantizers of bitgrad.
//
//   Quant(x, s, 0, bits)          s clamp(round(x / s), least, most)        QONNX; round to nearest, ties to even
//   BipolarQuant(x, s)            s sign(x), sign(0) = +1                   QONNX
//   QuantizeLinear, Clip, DequantizeLinear                                  the first one in three nodes
//   Trunc(x, s, 0, in, ..)        s' clamp(floor(round(x / s) / 2^d))       QONNX; d bits are dropped
//
// Weights become codes exactly. Of values that depend on the input:
//
//   sign(x) s                     sign, with the scale s
//   least, most = -1, 1           ternary with the threshold s / 2: a tie is 0 there, as the even number is
//   0, 2^k - 1                    lsq(k) with the step s, in the role of activations
//   -2^(k-1), 2^(k-1) - 1         lsq(k) with the step s, in the role of weights
//   any other range               x is clipped to [least s, most s] before
//
// lsq rounds ties up. Where s is a power of two, so that sums can lie at ties, x is rounded to a multiple of s before,
// by a fixed-point format, which rounds ties to even. For any other s a value of floats is at a tie only by rounding.
// Trunc rounds x / s to whole numbers and these to multiples of 2^d in the same way.

#ifndef BITGRAD_EXPORT_IMPORT_QUANTIZERS_H_
#define BITGRAD_EXPORT_IMPORT_QUANTIZERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/export/import_graph.h"
#include "bitgrad/export/import_node.h"
#include "bitgrad/export/import_tensor.h"

namespace bitgrad {

// The operands of a quantizing node, which have to be constants.
struct QuantizerOfNode {
  std::vector<float> scales;  // one, or one for each slice along an axis
  int axis = 0;
  bool is_sign = false;
  double least = 0, most = 0;
  std::string rounding = "ROUND";
};

// The code of a number: its sign, or x / scale rounded and clipped.
float CodeOf(const QuantizerOfNode& quantizer, float x, float scale);

// Reads those of Quant, BipolarQuant, QuantizeLinear or DequantizeLinear for an operand of shape `x`; inputs[k] is null
// where operand k is missing or no constant. Errors: a scale that is computed or not positive, a zero point that is not
// 0, bits that are no whole number from 1 to 32.
absl::StatusOr<QuantizerOfNode> ReadQuantizer(const ImportNode& node, const Shape& x,
                                              absl::Span<const ImportTensor* const> inputs);

// The constant, quantized, with its codes.
absl::StatusOr<ImportTensor> QuantizeConstant(const ImportNode& node, const ImportTensor& x,
                                              const QuantizerOfNode& quantizer);
// What DequantizeLinear makes of integers: these are the codes.
absl::StatusOr<ImportTensor> DequantizeConstant(const ImportNode& node, const ImportTensor& x,
                                                const QuantizerOfNode& quantizer);

// An error unless there is one scale.
absl::Status CheckOneScale(const ImportNode& node, const QuantizerOfNode& quantizer);

// Quantizes a value to scale * {least .. most}, or to its sign.
absl::StatusOr<Imported> QuantizeValue(ImportGraph& graph, const ImportNode& node, const Imported& x,
                                       const QuantizerOfNode& quantizer);

// Trunc of a value.
absl::StatusOr<Imported> TruncateValue(ImportGraph& graph, const ImportNode& node, const Imported& x,
                                       absl::Span<const ImportTensor* const> inputs);

// Which element of a constant is element (o, j) of a weight [rows, cols]: index[o * cols + j].
struct WeightOrder {
  int64_t rows = 0, cols = 0;
  std::vector<int64_t> index;
};

// Adds a weight to the program, as codes where it has some: of the fewest bits that all of them fit in. Where it stays
// floats, *why_float says why.
int AddWeight(ImportGraph& graph, const std::string& name, const ImportTensor& w, const Shape& shape,
              const WeightOrder& order, std::string* why_float);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_QUANTIZERS_H_
