// ToOnnx: a packed model as an ONNX model. Every instruction becomes nodes that compute the same, in the same order of
// float operations; docs/onnx.md describes the dialects, names, layouts and metadata.
//
//   BITGRAD_ASSIGN_OR_RETURN(const onnx::ModelProto proto, ToOnnx(*model, {.dialect = OnnxDialect::kPlain}));
//
// Sums of integer codes are sums of floats below 2^24, or of doubles, and exact, and a scale is applied to the finished
// sum, as in the packed model. So whoever runs the graph gives its answers to the last bit, where all sums are integers
// and no sigmoid, tanh or average of floats comes after them.
//
// Errors: Unimplemented for what the dialect cannot say, with layer, instruction and the dialect that can.

#ifndef BITGRAD_EXPORT_ONNX_H_
#define BITGRAD_EXPORT_ONNX_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/runtime/packed_model.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

enum class OnnxDialect {
  kPlain,  // operators of the ONNX standard alone
  kQonnx,  // quantizers and weights by Quant, BipolarQuant and Trunc of the domain qonnx.custom_op.general
  kQcdq,   // quantizers and weights by QuantizeLinear, Clip and DequantizeLinear: at most 8 bits
};

inline constexpr char kOnnxDialects[] = "plain, qonnx, qcdq";
absl::string_view Name(OnnxDialect dialect);
// InvalidArgument, with the nearest and all names, for an unknown one.
absl::StatusOr<OnnxDialect> ParseOnnxDialect(absl::string_view text);

// The version of the standard's operators that is used, and that of the format of the file.
inline constexpr int kOnnxOpset = 13;
inline constexpr int kOnnxIrVersion = 7;

struct OnnxOptions {
  OnnxDialect dialect = OnnxDialect::kPlain;
};

// The model has passed ONNX's own checker.
absl::StatusOr<onnx::ModelProto> ToOnnx(const PackedModel& model, const OnnxOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_H_
