// //export:onnx: a packed model, or the model of a checkpoint, becomes an ONNX file.

#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/export/onnx.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "",
          "Packed model file, as freeze or quantize writes it, or zoo:NAME: exported as it is.");
ABSL_FLAG(std::string, checkpoint, "",
          "Checkpoint of //models:train, or a run's folder: its model is frozen first, without thresholds, so that "
          "quantizers and batch norms are nodes of the graph.");
ABSL_FLAG(std::string, out, "", "ONNX file to write.");
ABSL_FLAG(std::string, dialect, "plain", "How few bits are said: plain, qonnx or qcdq.");

namespace bitgrad {
namespace {

absl::StatusOr<std::unique_ptr<PackedModel>> FrozenModel(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  // The model does not depend on the number of threads, so one does where a limit forbids more.
  ExecContext context({.threads = CheckThreads(ExecContext().threads()).ok() ? 0 : 1});
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer,
                           FreezeCheckpoint(context, checkpoint, {.fold_thresholds = false}));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  return PackedModel::FromBytes(path, bytes);
}

absl::Status ExportFile() {
  const std::string model_path = absl::GetFlag(FLAGS_model);
  std::string checkpoint_path = ResolvePath(absl::GetFlag(FLAGS_checkpoint));
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  if (model_path.empty() == checkpoint_path.empty()) {
    return absl::InvalidArgumentError(model_path.empty()
                                          ? "nothing to export; name a packed model, --model=FILE, or --checkpoint=FILE"
                                          : "both --model and --checkpoint are given; leave one of them out");
  }
  if (out.empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  BITGRAD_ASSIGN_OR_RETURN(const OnnxDialect dialect, ParseOnnxDialect(absl::GetFlag(FLAGS_dialect)));
  std::vector<NamedFile> inputs = {{"--model", ResolvePath(model_path)}};
  if (model_path.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(checkpoint_path, CheckpointPath(checkpoint_path));
    inputs = {{"--checkpoint", checkpoint_path}};
  }
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, inputs));
  // Nor over another model or checkpoint: it cannot be made again from the ONNX file.
  if (Checkpoint::Open(out).ok() || PackedModel::Open(out).ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--out='", out, "' is a checkpoint or a packed model, which would be overwritten; ", "choose another --out"));
  }
  std::unique_ptr<PackedModel> model;
  if (model_path.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(model, FrozenModel(checkpoint_path));
  } else {
    BITGRAD_ASSIGN_OR_RETURN(model, OpenModel(model_path));
  }
  BITGRAD_ASSIGN_OR_RETURN(const onnx::ModelProto proto, ToOnnx(*model, {.dialect = dialect}));
  const std::string bytes = proto.SerializeAsString();
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(out));
  BITGRAD_RETURN_IF_ERROR(file.Append(bytes));
  BITGRAD_RETURN_IF_ERROR(file.Commit());
  int nodes = proto.graph().node_size();
  for (const onnx::NodeProto& node : proto.graph().node()) {
    for (const onnx::AttributeProto& attribute : node.attribute()) nodes += attribute.g().node_size();
  }
  absl::PrintF("onnx: nodes=%d bytes=%d opset=%d dialect=%s model=%s\n", nodes, bytes.size(), kOnnxOpset, Name(dialect),
               out);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Exports a packed model, or the model of a checkpoint, to ONNX (opset 13): "
                                    "--dialect=plain has operators of the standard alone, qonnx has Quant, "
                                    "BipolarQuant and Trunc (opset 1 of qonnx.custom_op.general), qcdq has "
                                    "QuantizeLinear, Clip and DequantizeLinear.",
                           .more_help = bitgrad::ZooHelp},
                          [] { return bitgrad::ExportFile(); });
}
