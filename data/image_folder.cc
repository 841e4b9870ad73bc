#include "bitgrad/data/image_folder.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/available_memory.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/class_folders.h"
#include "bitgrad/data/first_few.h"
#include "bitgrad/data/image_files.h"
#include "bitgrad/data/shuffle.h"

namespace bitgrad {
namespace {

constexpr int64_t kDefaultSize = 64;
constexpr int64_t kMaxSize = 4096;
constexpr uint64_t kOrderSeed = 0;  // Another one is another order, and so another split for validation.

constexpr char kHowToLayThemOut[] =
    "the data are JPEG or PNG files in a folder per class, DIR/train/CLASS/*.jpg and DIR/val/CLASS/*.jpg; "
    "pass --data_dir=DIR";

// Adds the layout to errors about missing folders.
absl::Status Explained(const absl::Status& status) {
  if (!absl::IsNotFound(status)) return status;
  return absl::NotFoundError(absl::StrCat("image_folder: ", status.message(), ": ", kHowToLayThemOut));
}

// The items of the sorted `all` that the sorted `some` lacks.
std::vector<std::string> Missing(const std::vector<std::string>& all, const std::vector<std::string>& some) {
  std::vector<std::string> missing;
  std::set_difference(all.begin(), all.end(), some.begin(), some.end(), std::back_inserter(missing));
  return missing;
}

absl::Status CheckSameClasses(const std::string& train, const std::vector<std::string>& expected,
                              const std::string& directory, const std::vector<std::string>& found) {
  if (found == expected) return absl::OkStatus();
  std::vector<std::string> differences;
  const std::vector<std::string> missing = Missing(expected, found);
  const std::vector<std::string> additional = Missing(found, expected);
  if (!missing.empty()) differences.push_back(absl::StrCat("lacks ", FirstFew(missing, "folder", "folders")));
  if (!additional.empty()) {
    differences.push_back(absl::StrCat("has ", FirstFew(additional, "folder", "folders"), " that are not there"));
  }
  return absl::InvalidArgumentError(absl::StrCat("image_folder: '", directory,
                                                 "' must have the same folders of classes as '", train, "', which has ",
                                                 expected.size(), "; it ", absl::StrJoin(differences, " and ")));
}

// What the images of a split may take by default: with two splits, half of the machine's memory.
int64_t DefaultCacheBytes() { return FindAvailableMemory().bytes / 4; }

}  // namespace

absl::StatusOr<Dataset> LoadImageFolder(const LoadOptions& options) {
  const int64_t side = options.image_size == 0 ? kDefaultSize : options.image_size;
  if (side < 1 || side > kMaxSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_folder: data.image_size is ", side, "; it has to be 1 to ", kMaxSize));
  }
  if (options.cache_bytes < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_folder: the memory for images is ", options.cache_bytes, " bytes; it cannot be negative"));
  }
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat("image_folder: no data directory given: ", kHowToLayThemOut));
  }
  const std::string train = options.data_dir + "/train";
  const std::string directory = options.split == Split::kTrain ? train : options.data_dir + "/val";
  absl::StatusOr<ClassFolders> folders = ListClassFolders(directory);
  if (!folders.ok()) return Explained(folders.status());
  if (options.split == Split::kTest) {
    const absl::StatusOr<std::vector<std::string>> classes = ListClasses(train);
    if (classes.ok()) {
      BITGRAD_RETURN_IF_ERROR(CheckSameClasses(train, *classes, directory, folders->classes));
    } else if (!absl::IsNotFound(classes.status())) {
      return classes.status();
    }
  }

  const int64_t all = folders->files.size();
  const int64_t count = options.limit > 0 ? std::min(options.limit, all) : all;
  const std::vector<int64_t> order = ShuffledOrder({0, all}, kOrderSeed, /*epoch=*/0);
  Dataset dataset;
  dataset.name = "image_folder";
  dataset.labels = Tensor(Shape({count}), DType::kInt32);
  std::vector<std::string> paths(count);
  for (int64_t i = 0; i < count; ++i) {
    ClassFolders::File& file = folders->files[order[i]];
    paths[i] = std::move(file.path);
    dataset.labels.mutable_data<int32_t>()[i] = file.label;
  }
  dataset.num_classes = static_cast<int64_t>(folders->classes.size());
  dataset.class_names = std::move(folders->classes);

  const int64_t cache_bytes = options.cache_bytes > 0 ? options.cache_bytes : DefaultCacheBytes();
  auto files = std::make_shared<ImageFiles>(directory, std::move(paths), side, cache_bytes);
  std::vector<std::string> notes;
  if (!folders->passed_over.empty()) notes.push_back(absl::StrCat("passed over: ", folders->passed_over));
  if (count <= cache_bytes / files->shape().features()) {
    dataset.images = Tensor({count, side, side, files->shape().channels}, DType::kUint8);
    BITGRAD_ASSIGN_OR_RETURN(const int64_t with_junk,
                             files->DecodeAll(options.threads, dataset.images.mutable_data<uint8_t>()));
    if (with_junk > 0) notes.push_back(absl::StrCat("warning: ", with_junk, " with surplus bytes in the file"));
  } else {
    BITGRAD_RETURN_IF_ERROR(files->Check(options.threads));
    notes.push_back(absl::StrCat("decoded when needed, up to ", cache_bytes >> 20, " MiB of them kept"));
    dataset.source = std::move(files);
  }
  dataset.summary = absl::StrJoin(notes, "; ");
  return dataset;
}

}  // namespace bitgrad
