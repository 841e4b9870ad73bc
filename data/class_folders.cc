#include "bitgrad/data/class_folders.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/first_few.h"
#include "google/protobuf/stubs/common.h"

namespace bitgrad {
namespace {

namespace fs = std::filesystem;

bool IsHidden(const std::string& name) { return name[0] == '.' || name == "__MACOSX"; }

// Whether the text is UTF-8 without control characters.
bool IsPrintable(absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) return false;
  }
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

bool IsImageName(const std::string& name) {
  const std::string extension = absl::AsciiStrToLower(fs::path(name).extension().string());
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

// What a directory holds, by name, sorted. Links stand for what they lead to.
struct Listing {
  std::vector<std::string> folders;
  std::vector<std::string> files;
};

// Counts what is passed over on the way through the folders, and keeps what cannot be read.
class Walk {
 public:
  explicit Walk(std::string root) : root_(std::move(root)) {}

  // The directory `path` below the root.
  absl::StatusOr<Listing> List(const std::string& path) {
    Listing listing;
    std::error_code error;
    fs::directory_iterator it(Absolute(path), error);
    for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (IsHidden(name)) {
        ++hidden_;
        continue;
      }
      std::error_code unknown;
      const fs::file_status status = it->status(unknown);
      if (fs::is_directory(status)) {
        listing.folders.push_back(name);
      } else if (fs::exists(status)) {
        listing.files.push_back(name);
      } else {
        broken_.push_back(absl::StrCat("'", it->path().string(), "'"));
      }
    }
    if (error) return FileError("list directory", Absolute(path), error.value());
    std::sort(listing.folders.begin(), listing.folders.end());
    std::sort(listing.files.begin(), listing.files.end());
    return listing;
  }

  // Appends the images in the directory `path` and below it.
  absl::Status AppendImages(const std::string& path, int32_t label, std::vector<ClassFolders::File>& files) {
    BITGRAD_RETURN_IF_ERROR(Enter(path));
    BITGRAD_ASSIGN_OR_RETURN(const Listing listing, List(path));
    for (const std::string& name : listing.files) {
      if (IsImageName(name)) {
        files.push_back({absl::StrCat(path, "/", name), label});
      } else {
        others_.push_back(name);
      }
    }
    for (const std::string& name : listing.folders) {
      BITGRAD_RETURN_IF_ERROR(AppendImages(absl::StrCat(path, "/", name), label, files));
    }
    inside_.pop_back();
    return absl::OkStatus();
  }

  void PassOver(const std::vector<std::string>& names) { others_.insert(others_.end(), names.begin(), names.end()); }

  // InvalidArgument where links could not be followed.
  absl::Status CheckLinks() {
    if (broken_.empty()) return absl::OkStatus();
    std::sort(broken_.begin(), broken_.end());
    return absl::InvalidArgumentError(absl::StrCat("image_folder: ", FirstFew(broken_, "link leads", "links lead"),
                                                   " to nothing; mend or remove ",
                                                   broken_.size() == 1 ? "it" : "them"));
  }

  std::string PassedOver() const {
    std::vector<std::string> parts;
    if (hidden_ > 0) parts.push_back(absl::StrCat(hidden_, " hidden"));
    if (!others_.empty()) {
      parts.push_back(
          FirstFew(others_, "called neither .jpg, .jpeg nor .png", "called neither .jpg, .jpeg nor .png", 3));
    }
    return absl::StrJoin(parts, ", ");
  }

 private:
  std::string Absolute(const std::string& path) const { return path.empty() ? root_ : absl::StrCat(root_, "/", path); }

  // Remembers the directory that the walk is in. InvalidArgument where it is in it already, by way of a link.
  absl::Status Enter(const std::string& path) {
    std::error_code error;
    fs::path real = fs::canonical(Absolute(path), error);
    if (error) return FileError("list directory", Absolute(path), error.value());
    if (std::find(inside_.begin(), inside_.end(), real) != inside_.end()) {
      return absl::InvalidArgumentError(absl::StrCat("image_folder: the link '", Absolute(path), "' leads back to '",
                                                     real.string(), "', which it is in; remove it"));
    }
    inside_.push_back(std::move(real));
    return absl::OkStatus();
  }

  std::string root_;
  std::vector<fs::path> inside_;  // the directories from the class's down to where the walk is
  std::vector<std::string> broken_;
  std::vector<std::string> others_;
  int64_t hidden_ = 0;
};

absl::StatusOr<Listing> ListRoot(const std::string& directory, Walk& walk) {
  BITGRAD_ASSIGN_OR_RETURN(Listing listing, walk.List(""));
  BITGRAD_RETURN_IF_ERROR(walk.CheckLinks());
  if (listing.folders.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("image_folder: '", directory, "' has no folders of classes"));
  }
  // The names become the classes', which files keep as text and programs print on a line.
  std::vector<std::string> unreadable;
  for (const std::string& name : listing.folders) {
    if (!IsPrintable(name)) unreadable.push_back(absl::StrCat("'", directory, "/", absl::CHexEscape(name), "'"));
  }
  if (!unreadable.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_folder: the names of classes have to be UTF-8 text without control characters, unlike ",
                     FirstFew(unreadable, "folder", "folders"), "; rename ", unreadable.size() == 1 ? "it" : "them"));
  }
  return listing;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ListClasses(const std::string& directory) {
  Walk walk(directory);
  BITGRAD_ASSIGN_OR_RETURN(Listing listing, ListRoot(directory, walk));
  return std::move(listing.folders);
}

absl::StatusOr<ClassFolders> ListClassFolders(const std::string& directory) {
  Walk walk(directory);
  BITGRAD_ASSIGN_OR_RETURN(Listing listing, ListRoot(directory, walk));
  walk.PassOver(listing.files);
  ClassFolders result;
  result.classes = std::move(listing.folders);
  std::vector<std::string> empty;
  for (size_t label = 0; label < result.classes.size(); ++label) {
    const size_t before = result.files.size();
    BITGRAD_RETURN_IF_ERROR(walk.AppendImages(result.classes[label], static_cast<int32_t>(label), result.files));
    if (result.files.size() == before) empty.push_back(absl::StrCat("'", directory, "/", result.classes[label], "'"));
  }
  BITGRAD_RETURN_IF_ERROR(walk.CheckLinks());
  if (!empty.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("image_folder: there are no .jpg, .jpeg or .png files in ",
                                                   FirstFew(empty, "folder", "folders"), "; add some or remove ",
                                                   empty.size() == 1 ? "it" : "them"));
  }
  result.passed_over = walk.PassedOver();
  return result;
}

}  // namespace bitgrad
