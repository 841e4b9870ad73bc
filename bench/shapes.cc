#include "bitgrad/bench/shapes.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

bool ParsePositive(absl::string_view text, int64_t* value) { return absl::SimpleAtoi(text, value) && *value > 0; }

// For each kind of shape: the fields of a line, by the names that errors use, and where they are stored.
struct GemmForm {
  using Shape = GemmShape;
  static constexpr char kText[] = "name m n k";
  static std::vector<int64_t*> Numbers(Shape& s) { return {&s.m, &s.n, &s.k}; }
};
struct ConvForm {
  using Shape = ConvShape;
  static constexpr char kText[] = "name height width channels filters kernel stride";
  static std::vector<int64_t*> Numbers(Shape& s) {
    return {&s.height, &s.width, &s.channels, &s.filters, &s.kernel, &s.stride};
  }
};

template <typename Form>
bool ParseLine(const std::vector<std::string>& tokens, typename Form::Shape& shape) {
  shape.name = tokens[0];
  const std::vector<int64_t*> numbers = Form::Numbers(shape);
  bool ok = tokens.size() == numbers.size() + 1;
  for (size_t i = 0; ok && i < numbers.size(); ++i) ok = ParsePositive(tokens[i + 1], numbers[i]);
  return ok;
}

template <typename Form>
absl::StatusOr<std::vector<typename Form::Shape>> Parse(absl::string_view text) {
  std::vector<typename Form::Shape> shapes;
  std::set<std::string> names;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const std::vector<std::string> tokens = absl::StrSplit(line, absl::ByAnyChar(" \t\r"), absl::SkipEmpty());
    if (tokens.empty()) continue;
    typename Form::Shape shape;
    if (!ParseLine<Form>(tokens, shape)) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": '", line, "' is not '", Form::kText, "'"));
    }
    if (!names.insert(shape.name).second) {
      return absl::InvalidArgumentError(absl::StrCat("line ", number, ": the name '", shape.name, "' comes twice"));
    }
    shapes.push_back(std::move(shape));
  }
  if (shapes.empty()) return absl::InvalidArgumentError("there is no shape in it");
  return shapes;
}

template <typename Form>
absl::StatusOr<std::vector<Family<typename Form::Shape>>> ReadFamilies(const std::string& directory) {
  std::vector<Family<typename Form::Shape>> families;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".txt") continue;
    BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(entry.path().string()));
    const auto bytes = file.bytes();
    auto shapes = Parse<Form>({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
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

}  // namespace

absl::StatusOr<std::vector<GemmShape>> ParseShapes(absl::string_view text) { return Parse<GemmForm>(text); }
absl::StatusOr<std::vector<ConvShape>> ParseConvShapes(absl::string_view text) { return Parse<ConvForm>(text); }

absl::StatusOr<std::vector<ShapeFamily>> ReadShapeFamilies(const std::string& directory) {
  return ReadFamilies<GemmForm>(directory);
}
absl::StatusOr<std::vector<ConvShapeFamily>> ReadConvShapeFamilies(const std::string& directory) {
  return ReadFamilies<ConvForm>(directory);
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
