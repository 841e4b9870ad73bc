// //export:safetensors: the weights of a checkpoint, out to a safetensors file and in from one.

#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/checkpoint_weights.h"
#include "bitgrad/export/safetensors.h"
#include "bitgrad/export/tensor_names.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(std::string, from, "",
          "Safetensors file whose weights a copy of the checkpoint gets. Default: none, the checkpoint's weights are "
          "written to a safetensors file.");
ABSL_FLAG(std::string, out, "", "File to write: safetensors, or a checkpoint with --from.");
ABSL_FLAG(std::string, names, "",
          "Text file with lines 'PARAMETER = NAME [LAYOUT]' (docs/safetensors.md). Default: parameters have their own "
          "names.");
ABSL_FLAG(bool, allow_extra, false, "With --from: the file may have tensors that no parameter takes.");

namespace bitgrad {
namespace {

absl::Status ExchangeWeights() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  if (out.empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  const std::string from = ResolvePath(absl::GetFlag(FLAGS_from)), names_file = ResolvePath(absl::GetFlag(FLAGS_names));
  if (from.empty() && absl::GetFlag(FLAGS_allow_extra)) {
    return absl::InvalidArgumentError("--allow_extra is for --from=FILE, which is missing");
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  BITGRAD_RETURN_IF_ERROR(
      CheckOutputIsNotInput({{"--out", out}}, {{"--checkpoint", path}, {"--from", from}, {"--names", names_file}}));
  // Nor over another checkpoint: it may be what a run resumes from.
  if (Checkpoint::Open(out).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out='", out, "' is a checkpoint, which would be overwritten; choose another --out"));
  }
  BringOptions options{.allow_extra = absl::GetFlag(FLAGS_allow_extra)};
  if (!names_file.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(options.names, TensorNames::Read(names_file));
  }
  if (from.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(const WeightsTaken taken, TakeWeights(checkpoint, options.names, out));
    absl::PrintF("safetensors: tensors=%d bytes=%d out=%s\n", taken.tensors, taken.bytes, out);
    return absl::OkStatus();
  }
  BITGRAD_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open(from));
  BITGRAD_ASSIGN_OR_RETURN(const WeightsBrought brought, BringWeights(checkpoint, file, options, out));
  if (checkpoint.header().recipe().phase_size() > 0) {
    absl::PrintF(
        "note: the recipe has phases; the copy stands at the beginning of the first one, where nothing is hardened\n");
  }
  absl::PrintF("safetensors: tensors=%d replaced=%d checkpoint=%s\n", brought.tensors, brought.replaced, out);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Exchanges the weights of a checkpoint with a safetensors file."},
                          [] { return bitgrad::ExchangeWeights(); });
}
