#include "bench/shapes.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/mapped_file.h"
#include "core/status_macros.h"

namespace bitgrad {
namespace {

bool ParsePositive(absl::string_view text, int64_t* value) { return absl::SimpleAtoi(text, value) && *value > 0; }

}  // namespace

absl::StatusOr<std::vector<GemmShape>> ParseShapes(absl::string_view text) {
  std::vector<GemmShape> shapes;
  std::set<std::string> names;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const std::vector<std::string> tokens = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (tokens.empty()) continue;
    GemmShape shape{.name = tokens[0]};
    if (tokens.size() != 4 || !ParsePositive(tokens[1], &shape.m) || !ParsePositive(tokens[2], &shape.n) ||
        !ParsePositive(tokens[3], &shape.k)) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": '", line, "' is not 'name m n k'"));
    }
    if (!names.insert(shape.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": the name '", shape.name, "' comes twice"));
    }
    shapes.push_back(std::move(shape));
  }
  if (shapes.empty()) return absl::InvalidArgumentError("there is no shape in it");
  return shapes;
}

absl::StatusOr<std::vector<ShapeFamily>> ReadShapeFamilies(const std::string& directory) {
  std::vector<ShapeFamily> families;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".txt") continue;
    BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(entry.path().string()));
    const auto bytes = file.bytes();
    auto shapes = ParseShapes({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    if (!shapes.ok()) {
      return absl::Status(shapes.status().code(),
                          absl::StrCat("'", entry.path().string(), "': ", shapes.status().message()));
    }
    families.push_back({entry.path().stem().string(), *std::move(shapes)});
  }
  if (error) return absl::NotFoundError(absl::StrCat("cannot list directory '", directory, "': ", error.message()));
  if (families.empty()) return absl::NotFoundError(absl::StrCat("directory '", directory, "' has no file *.txt"));
  std::sort(families.begin(), families.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return families;
}

absl::StatusOr<std::string> FindShapesDirectory() {
  std::vector<std::string> candidates = {"bench/shapes"};
  std::error_code error;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (!error) candidates.insert(candidates.begin(), program.string() + ".runfiles/bitgrad/bench/shapes");
  for (const std::string& candidate : candidates) {
    if (std::filesystem::is_directory(candidate, error)) return candidate;
  }
  return absl::NotFoundError(absl::StrCat("the shapes are neither in '", absl::StrJoin(candidates, "' nor in '"),
                                          "'; run from the root of the checkout or give --shapes=DIRECTORY"));
}

}  // namespace bitgrad
