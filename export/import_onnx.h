// ImportOnnx: a net that another framework has trained, as an ONNX graph, becomes a packed model.
//
//   BITGRAD_ASSIGN_OR_RETURN(onnx::ModelProto model, ReadOnnx("net.onnx"));
//   ImportReport report;
//   BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, ImportOnnx(context, model, {.name = "net"}, &report));
//   BITGRAD_ASSIGN_OR_RETURN(int64_t bytes, writer.Write("net.bgm"));
//
// The graph becomes a program (export/program.h), node by node (export/import_ops.h), and the passes that make packed
// models of our own nets make one of it: quantized weights are codes, products of codes run on codes, and everything
// between exact sums and a quantizer of few bits becomes integer thresholds, found by our kernels. Layers that are not
// quantized stay floats; the report says which and why. docs/importing.md lists what is read.
//
// Images are [N, C, H, W] in ONNX and NHWC in packed models: so are the inputs of the packed model, and a result that
// is an image.
//
// Errors name the node and what would help: no ONNX; data in other files; an op or a form of it that is not read;
// scales that are computed; zero points other than 0; shapes that are not known; several inputs or outputs; damaged
// numbers.

#ifndef BITGRAD_EXPORT_IMPORT_ONNX_H_
#define BITGRAD_EXPORT_IMPORT_ONNX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/packed_model_writer.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

struct ImportOptions {
  std::string name;      // of the model
  std::string data_set;  // what //runtime:predict reads unless told otherwise; may be empty
  // Extents of one example, as ONNX orders them, {1, 28, 28}: where the graph leaves them open. Empty: the graph's.
  std::vector<int64_t> input_shape;
  // The most thresholds of an output: quantizers of at most 4 bits fold.
  int max_levels = 15;
};

struct ImportReport {
  struct Layer {
    std::string name;    // of the node
    bool packed;         // whether it multiplies codes
    std::string detail;  // "weights binary, values unsigned 2 bits, thresholds", or why it is float
  };
  std::vector<Layer> layers;  // convolutions and matrix products, in order
  int packed() const;
};

// Reads the bytes of a file. InvalidArgument where they are no ONNX model.
absl::StatusOr<onnx::ModelProto> ReadOnnx(const std::string& path);

// `report` may be null.
absl::StatusOr<PackedModelWriter> ImportOnnx(ExecContext& context, const onnx::ModelProto& model,
                                             const ImportOptions& options, ImportReport* report);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_ONNX_H_
