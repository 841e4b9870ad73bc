#include "bitgrad/core/same_file.h"

#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace bitgrad {

bool SameFile(const std::string& a, const std::string& b) {
  if (a.empty() || b.empty()) return false;
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  // weakly_canonical() makes a path absolute only where its beginning exists.
  const auto place = [](const std::string& path) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(path, error);
    if (error) return std::filesystem::path();
    const std::filesystem::path canonical = std::filesystem::weakly_canonical(absolute, error);
    return error ? std::filesystem::path() : canonical;
  };
  const std::filesystem::path place_a = place(a);
  return !place_a.empty() && place_a == place(b);
}

absl::Status CheckOutputIsNotInput(absl::Span<const NamedFile> outputs, absl::Span<const NamedFile> inputs) {
  const auto check = [](const NamedFile& output, const NamedFile& other, absl::string_view what) {
    if (!SameFile(output.path, other.path)) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(output.name, " '", output.path, "' is the same file as ", other.name,
                                                   " '", other.path, "', ", what, "; choose another ", output.name));
  };
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (const NamedFile& input : inputs) {
      if (absl::Status status = check(outputs[i], input, "which would be overwritten"); !status.ok()) return status;
    }
    for (size_t j = 0; j < i; ++j) {
      if (absl::Status status = check(outputs[i], outputs[j], "which is written, too"); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
