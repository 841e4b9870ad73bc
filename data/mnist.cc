#include "bitgrad/data/mnist.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/data_file.h"
#include "bitgrad/data/idx.h"

namespace bitgrad {
namespace {

constexpr int64_t kClasses = 10;

struct File {
  const char* name;
  const char* md5;  // of the uncompressed file: gzip stores dates and names, so .gz files differ
};

struct SplitFiles {
  File images;
  File labels;
};

constexpr SplitFiles kTrainFiles = {
    {"train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"},
    {"train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"},
};
constexpr SplitFiles kTestFiles = {
    {"t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"},
    {"t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"},
};

std::string HowToGetTheFiles() {
  std::string list;
  for (const SplitFiles& files : {kTrainFiles, kTestFiles}) {
    for (const File& file : {files.images, files.labels}) {
      absl::StrAppend(&list, list.empty() ? "" : ", ", file.name, " ", file.md5);
    }
  }
  return absl::StrCat(
      "the data are the four files of the MNIST database (yann.lecun.com/exdb/mnist; many "
      "mirrors), "
      "plain or gzipped (.gz), with these md5 sums when uncompressed: ",
      list, "; put them in one directory DIR and pass --data_dir=DIR");
}

absl::StatusOr<std::string> Find(const std::string& data_dir, const File& file) {
  const absl::StatusOr<std::string> path = FindDataFile({data_dir}, file.name);
  if (!absl::IsNotFound(path.status())) return path;
  return absl::NotFoundError(absl::StrCat("mnist: ", path.status().message(), ": ", HowToGetTheFiles()));
}

// [count, height, width] as [limit, height, width, 1 channel].
Tensor FirstImages(const Tensor& images, int64_t limit) {
  const Shape& shape = images.shape();
  const Shape result({std::min(limit, shape.dim(0)), shape.dim(1), shape.dim(2), 1});
  if (result.num_elements() == images.num_elements()) return images.Alias(result);
  return Tensor::Of<uint8_t>(result, images.span<uint8_t>().first(result.num_elements()));
}

Tensor FirstLabels(const Tensor& bytes, int64_t limit) {
  Tensor labels(Shape({std::min(limit, bytes.num_elements())}), DType::kInt32);
  std::copy_n(bytes.data<uint8_t>(), labels.num_elements(), labels.mutable_data<int32_t>());
  return labels;
}

}  // namespace

absl::StatusOr<Dataset> LoadMnist(const LoadOptions& options) {
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat("mnist: no data directory given: ", HowToGetTheFiles()));
  }
  const SplitFiles& files = options.split == Split::kTrain ? kTrainFiles : kTestFiles;
  BITGRAD_ASSIGN_OR_RETURN(const std::string images_path, Find(options.data_dir, files.images));
  BITGRAD_ASSIGN_OR_RETURN(const std::string labels_path, Find(options.data_dir, files.labels));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor images, ReadIdx(images_path, /*rank=*/3));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor labels, ReadIdx(labels_path, /*rank=*/1));

  Dataset dataset{"mnist", FirstImages(images, images.shape().dim(0)), FirstLabels(labels, labels.num_elements()),
                  kClasses};
  // The whole files are checked, also where only a part of them is asked for.
  if (const absl::Status valid = dataset.Validate(); !valid.ok()) {
    return absl::Status(valid.code(), absl::StrCat(images_path, " and ", labels_path, ": ", valid.message(),
                                                   "; the two files must be a pair of 10-class data, get them again"));
  }
  if (options.limit > 0) {
    dataset.images = FirstImages(images, options.limit);
    dataset.labels = FirstLabels(labels, options.limit);
  }
  return dataset;
}

}  // namespace bitgrad
