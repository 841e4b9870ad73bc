#include "bitgrad/data/image_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <mutex>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/jpeg.h"
#include "bitgrad/data/resize.h"
#include "bitgrad/data/shuffle.h"

namespace bitgrad {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDefaultSize = 64;
constexpr int64_t kMaxSize = 4096;
constexpr int64_t kChannels = 3;
constexpr uint64_t kOrderSeed = 0;  // Another one is another order, and so another split for validation.

constexpr char kHowToLayThemOut[] =
    "the data are JPEG files in a folder per class, DIR/train/CLASS/*.jpg and DIR/val/CLASS/*.jpg; "
    "pass --data_dir=DIR";

struct Example {
  std::string path;
  int32_t label;
};

// Names of what is in a directory, folders or files, sorted.
absl::StatusOr<std::vector<std::string>> List(const std::string& directory, bool folders) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error) == folders && !error) names.push_back(it->path().filename().string());
  }
  if (error) return FileError("list directory", directory, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

bool IsJpegName(const std::string& name) {
  const std::string extension = absl::AsciiStrToLower(fs::path(name).extension().string());
  return extension == ".jpg" || extension == ".jpeg";
}

absl::StatusOr<std::vector<std::string>> ListClasses(const std::string& directory) {
  absl::StatusOr<std::vector<std::string>> classes = List(directory, /*folders=*/true);
  if (absl::IsNotFound(classes.status())) {
    return absl::NotFoundError(absl::StrCat("image_folder: ", classes.status().message(), ": ", kHowToLayThemOut));
  }
  if (classes.ok() && classes->empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_folder: '", directory, "' has no folders of classes: ", kHowToLayThemOut));
  }
  return classes;
}

absl::StatusOr<std::vector<Example>> ListExamples(const std::string& directory,
                                                  const std::vector<std::string>& classes) {
  std::vector<Example> examples;
  for (size_t label = 0; label < classes.size(); ++label) {
    const std::string folder = absl::StrCat(directory, "/", classes[label]);
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<std::string> files, List(folder, /*folders=*/false));
    const size_t before = examples.size();
    for (const std::string& file : files) {
      if (!IsJpegName(file)) continue;
      examples.push_back({absl::StrCat(folder, "/", file), static_cast<int32_t>(label)});
    }
    if (examples.size() == before) {
      return absl::InvalidArgumentError(absl::StrCat("image_folder: there are no .jpg or .jpeg files in '", folder,
                                                     "'; add some or remove the folder"));
    }
  }
  return examples;
}

absl::Status CheckMemory(int64_t count, int64_t size) {
  const double needed = static_cast<double>(count) * static_cast<double>(size * size * kChannels);
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  if (needed <= memory) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("image_folder: ", count, " images of ", size, "x", size, " take ",
                   static_cast<int64_t>(needed / (1 << 20)), " MiB of memory, this machine has ",
                   static_cast<int64_t>(memory / (1 << 20)), "; lower data.image_size or data.limit"));
}

absl::Status ReadImage(const std::string& path, int64_t size, uint8_t* pixels) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::StatusOr<Image> image = DecodeJpeg(file.bytes());
  if (!image.ok()) {
    return absl::Status(image.status().code(), absl::StrCat("image_folder: '", path, "': ", image.status().message()));
  }
  const Image square = ResizeAndCrop(*image, size);
  std::copy(square.pixels.begin(), square.pixels.end(), pixels);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> LoadImageFolder(const LoadOptions& options) {
  const int64_t size = options.image_size == 0 ? kDefaultSize : options.image_size;
  if (size < 1 || size > kMaxSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("image_folder: data.image_size is ", size, "; it has to be 1 to ", kMaxSize));
  }
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat("image_folder: no data directory given: ", kHowToLayThemOut));
  }
  const std::string train = options.data_dir + "/train";
  const std::string directory = options.split == Split::kTrain ? train : options.data_dir + "/val";
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<std::string> classes, ListClasses(train));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<std::string> found, ListClasses(directory));
  if (found != classes) {
    return absl::InvalidArgumentError(absl::StrCat("image_folder: '", directory, "' has the classes ",
                                                   absl::StrJoin(found, ", "), " and '", train, "' has ",
                                                   absl::StrJoin(classes, ", "), "; they must have the same folders"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<Example> examples, ListExamples(directory, classes));
  const int64_t all = examples.size();
  const int64_t count = options.limit > 0 ? std::min(options.limit, all) : all;
  BITGRAD_RETURN_IF_ERROR(CheckMemory(count, size));

  const std::vector<int64_t> order = ShuffledOrder({0, all}, kOrderSeed, /*epoch=*/0);
  Dataset dataset{"image_folder", Tensor({count, size, size, kChannels}, DType::kUint8),
                  Tensor(Shape({count}), DType::kInt32), static_cast<int64_t>(classes.size())};
  uint8_t* pixels = dataset.images.mutable_data<uint8_t>();
  int32_t* labels = dataset.labels.mutable_data<int32_t>();
  // Of several bad files the first one is reported, whatever the number of threads.
  std::mutex mutex;
  int64_t first_bad = std::numeric_limits<int64_t>::max();
  absl::Status error;
  ParallelFor(options.threads, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Example& example = examples[order[i]];
      labels[i] = example.label;
      absl::Status status = ReadImage(example.path, size, pixels + i * size * size * kChannels);
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      if (i < first_bad) {
        first_bad = i;
        error = std::move(status);
      }
      return;
    }
  });
  BITGRAD_RETURN_IF_ERROR(error);
  return dataset;
}

}  // namespace bitgrad
