// //export:freeze: a checkpoint becomes a packed model file.

#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/freeze_checkpoint.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train.");
ABSL_FLAG(std::string, out, "", "Packed model file to write.");

namespace bitgrad {
namespace {

absl::Status FreezeFile() {
  const std::string path = absl::GetFlag(FLAGS_checkpoint);
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  if (path.empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  if (out.empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(ResolvePath(path)));
  ExecContext context;
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
