// //export:freeze: a checkpoint becomes a packed model file.

#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(std::string, out, "", "Packed model file to write.");

namespace bitgrad {
namespace {

absl::Status FreezeFile() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  if (out.empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, {{"--checkpoint", path}}));
  // Nor over the other checkpoint of a run: best.bgc is frozen, checkpoint.bgc is what a run resumes from.
  if (Checkpoint::Open(out).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out='", out, "' is a checkpoint, which would be overwritten; choose another --out"));
  }
  // The model does not depend on the number of threads, so one does where a limit forbids more.
  ExecContext context({.threads = CheckThreads(ExecContext().threads()).ok() ? 0 : 1});
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, FreezeCheckpoint(context, checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t bytes, writer.Write(out));
  const int64_t float_bytes = writer.header().float_parameter_bytes();
  absl::PrintF("freeze: bytes=%d float_bytes=%d ratio=%.1f model=%s\n", bytes, float_bytes,
               static_cast<double>(float_bytes) / static_cast<double>(bytes), out);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Freezes a checkpoint into a packed model."},
                          [] { return bitgrad::FreezeFile(); });
}
