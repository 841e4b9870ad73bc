// //export:c_source: a packed model as C99 source code for microcontrollers, and as plain arrays.

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/commit_all.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/c_code/c_source.h"
#include "bitgrad/export/c_code/raw_arrays.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "", "Packed model file, or zoo:NAME.");
ABSL_FLAG(std::string, out, "", "Folder for NAME.h, NAME.c and NAME_test.c; it is made where it is missing.");
ABSL_FLAG(std::string, name, "net", "C identifier that all names and the files begin with.");
ABSL_FLAG(bool, raw, false, "Also write the packed arrays as NAME_*.bin, with NAME_manifest.json.");

namespace bitgrad {
namespace {

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0) return absl::OkStatus();
  const int error = errno;
  struct stat status;
  if (error == EEXIST && stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("--out='", path, "': ", error == EEXIST ? "is no folder" : std::strerror(error)));
}

// Writes all files or, where one cannot be written, none.
absl::Status WriteFiles(const std::vector<std::pair<std::string, std::string>>& files) {
  std::vector<AtomicFile> opened;
  for (const auto& [path, text] : files) {
    BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
    BITGRAD_RETURN_IF_ERROR(file.Append(text));
    opened.push_back(std::move(file));
  }
  return CommitAll(opened);
}

absl::Status WriteCSource() {
  const std::string path = absl::GetFlag(FLAGS_model), out = ResolvePath(absl::GetFlag(FLAGS_out));
  const std::string name = absl::GetFlag(FLAGS_name);
  if (path.empty()) return absl::InvalidArgumentError(kNoModelGiven);
  if (out.empty()) return absl::InvalidArgumentError("--out=FOLDER is missing");
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<PackedModel> model, OpenModel(path));
  ExecContext context({.threads = 1});
  absl::StatusOr<CSource> source = ToCSource(*model, context, {.name = name});
  if (!source.ok()) {
    return absl::Status(source.status().code(), absl::StrCat("--model='", path, "': ", source.status().message()));
  }
  std::vector<std::pair<std::string, std::string>> files = {
      {absl::StrCat(out, "/", name, ".h"), std::move(source->header)},
      {absl::StrCat(out, "/", name, ".c"), std::move(source->source)},
      {absl::StrCat(out, "/", name, "_test.c"), std::move(source->test)}};
  if (absl::GetFlag(FLAGS_raw)) {
    for (RawFile& file : RawArrays(*model, name)) {
      files.emplace_back(absl::StrCat(out, "/", file.name), std::move(file.bytes));
    }
  }
  for (const auto& file : files)
    BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", file.first}}, {{"--model", ResolvePath(path)}}));
  BITGRAD_RETURN_IF_ERROR(MakeFolder(out));
  BITGRAD_RETURN_IF_ERROR(WriteFiles(files));
  absl::PrintF("c_source: flash_bytes=%d scratch_bytes=%d golden_vectors=%d out=%s\n", source->flash_bytes,
               source->scratch_bytes, source->golden_vectors, out);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Writes a packed model as C99 source code.", .more_help = bitgrad::ZooHelp},
                          [] { return bitgrad::WriteCSource(); });
}
