#include "bitgrad/sweep/sweep_folder.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/recipe_text.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

absl::Status WriteText(const std::string& path, const google::protobuf::Message& message) {
  google::protobuf::TextFormat::Printer printer;
  printer.SetUseUtf8StringEscaping(true);
  std::string text;
  if (!printer.PrintToString(message, &text))
    return absl::InternalError(absl::StrCat("'", path, "' cannot be printed"));
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(text));
  return file.Commit();
}

bool Exists(const std::string& path) {
  std::error_code error;
  return std::filesystem::exists(std::filesystem::symlink_status(path, error));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SweepFolder>> SweepFolder::Begin(const std::string& path, const sweep::State& state,
                                                                const recipe::Recipe& base,
                                                                absl::Span<const Trial> trials) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<RunFolder> lock, RunFolder::Open(path, RunFolder::Use::kNew));
  std::unique_ptr<SweepFolder> folder(new SweepFolder(std::move(lock)));
  if (Exists(folder->state_path())) {
    return absl::FailedPreconditionError(absl::StrCat(
        "'", path, "' holds a sweep already (sweep.textproto); continue it with --resume, or choose another --out"));
  }
  for (const Trial& trial : trials) {
    if (!Exists(folder->run_path(trial))) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("'", path, "' has a ", trial.name, " already; choose another --out"));
  }
  folder->state_ = state;
  folder->base_ = base;
  BITGRAD_RETURN_IF_ERROR(WriteText(folder->recipe_path(), base));
  // The last one: with it there is a sweep.
  BITGRAD_RETURN_IF_ERROR(WriteText(folder->state_path(), state));
  return folder;
}

absl::StatusOr<std::unique_ptr<SweepFolder>> SweepFolder::Continue(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<RunFolder> lock, RunFolder::Open(path, RunFolder::Use::kContinue));
  std::unique_ptr<SweepFolder> folder(new SweepFolder(std::move(lock)));
  const std::string state_path = folder->state_path();
  const absl::StatusOr<MappedFile> file = MappedFile::Open(state_path);
  if (absl::IsNotFound(file.status())) {
    return absl::NotFoundError(absl::StrCat("'", path, "' is no folder of a sweep: there is no sweep.textproto in it; ",
                                            "give the --out of the sweep to continue"));
  }
  if (!file.ok()) return file.status();
  const auto bytes = file->bytes();
  BITGRAD_RETURN_IF_ERROR(ParseText(absl::StrCat("'", state_path, "'"),
                                    {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, folder->state_));
  BITGRAD_ASSIGN_OR_RETURN(folder->base_, LoadRecipe(folder->recipe_path()));
  return folder;
}

}  // namespace bitgrad
