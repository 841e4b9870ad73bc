// //export:import_onnx: a net in an ONNX file becomes a packed model file.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/import_onnx.h"

ABSL_FLAG(std::string, onnx, "", "ONNX file of a float net, or of one that Brevitas or QONNX has quantized.");
ABSL_FLAG(std::string, out, "", "Packed model file to write.");
ABSL_FLAG(std::vector<std::string>, input_shape, {},
          "Extents of one example, in ONNX's order, where the file leaves them open: 1,28,28.");
ABSL_FLAG(std::string, name, "", "Name of the model; the graph's by default.");
ABSL_FLAG(std::string, data_set, "", "Data set that //runtime:predict reads unless told otherwise.");
ABSL_FLAG(std::string, pixels, "none",
          "How the net takes 8-bit pixels p: 'unit' as p / 255, 'signed' as (2 p - 255) / 255, 'none' not at all.");

namespace bitgrad {
namespace {

absl::StatusOr<std::vector<int64_t>> InputShape() {
  std::vector<int64_t> shape;
  for (const std::string& text : absl::GetFlag(FLAGS_input_shape)) {
    int64_t extent;
    if (!absl::SimpleAtoi(text, &extent) || extent < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--input_shape: '", text, "' is no extent; give those of one example, as in 1,28,28"));
    }
    shape.push_back(extent);
  }
  return shape;
}

absl::Status SetPixels(const std::string& pixels, packed::Input& input) {
  if (pixels == "none") return absl::OkStatus();
  if (pixels != "unit" && pixels != "signed") {
    return absl::InvalidArgumentError(absl::StrCat("--pixels='", pixels, "' is none of none, unit, signed"));
  }
  packed::PixelMapping& mapping = *input.mutable_pixels();
  mapping.set_multiplier(pixels == "unit" ? 1 : 2);
  mapping.set_offset(pixels == "unit" ? 0 : -255);
  mapping.set_divisor(255);
  return absl::OkStatus();
}

absl::Status ImportFile() {
  if (absl::GetFlag(FLAGS_onnx).empty()) return absl::InvalidArgumentError("--onnx=FILE is missing");
  const std::string path = ResolvePath(absl::GetFlag(FLAGS_onnx)), out = ResolvePath(absl::GetFlag(FLAGS_out));
  if (out.empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, {{"--onnx", path}}));
  ImportOptions options = {.name = absl::GetFlag(FLAGS_name), .data_set = absl::GetFlag(FLAGS_data_set)};
  BITGRAD_ASSIGN_OR_RETURN(options.input_shape, InputShape());
  BITGRAD_ASSIGN_OR_RETURN(const onnx::ModelProto model, ReadOnnx(path));
  if (options.name.empty()) options.name = model.graph().name();
  // The model does not depend on the number of threads, so one does where a limit forbids more.
  ExecContext context({.threads = CheckThreads(ExecContext().threads()).ok() ? 0 : 1});
  ImportReport report;
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, ImportOnnx(context, model, options, &report));
  BITGRAD_RETURN_IF_ERROR(SetPixels(absl::GetFlag(FLAGS_pixels), *writer.header().mutable_input()));
  BITGRAD_RETURN_IF_ERROR(writer.Write(out).status());
  for (const ImportReport::Layer& layer : report.layers) {
    absl::PrintF("%s: %s: %s\n", layer.name, layer.packed ? "packed" : "float", layer.detail);
  }
  const int layers = static_cast<int>(report.layers.size());
  absl::PrintF("import: layers=%d packed=%d float=%d\n", layers, report.packed(), layers - report.packed());
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Makes a packed model of a net in an ONNX file."},
                          [] { return bitgrad::ImportFile(); });
}
