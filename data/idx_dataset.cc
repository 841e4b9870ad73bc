#include "bitgrad/data/idx_dataset.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/optional.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/idx.h"
#include "bitgrad/data/idx_file_names.h"

namespace bitgrad {
namespace {

constexpr int64_t kMnistClasses = 10;
constexpr int64_t kMaxChannels = 4;

struct File {
  const char* name;
  const char* md5;  // of the uncompressed file: gzip stores dates and names, so .gz files differ
};

constexpr File kMnistFiles[] = {
    {"train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"},
    {"train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"},
    {"t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"},
    {"t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"},
};

std::string HowToGetMnist() {
  std::string list;
  for (const File& file : kMnistFiles) absl::StrAppend(&list, list.empty() ? "" : ", ", file.name, " ", file.md5);
  return absl::StrCat(
      "the data are the four files of the MNIST database (yann.lecun.com/exdb/mnist; many mirrors), plain or gzipped "
      "(.gz), with these md5 sums when uncompressed: ",
      list, "; put them in one directory DIR and pass --data_dir=DIR");
}

std::string HowToNameFiles() {
  return "the data are a file of images, train-images-idx3-ubyte, and one of labels, train-labels-idx1-ubyte, and the "
         "same for t10k or test instead of train, plain or gzipped (.gz); put them in one directory DIR and pass "
         "--data_dir=DIR, or --data_dir=DIR/NAME for files called NAME-train-images-idx3-ubyte and so on";
}

// Images [count, height, width, channels] and labels [count], as they are in the files.
struct Pair {
  std::string paths;  // "IMAGES and LABELS", for errors
  Tensor images;
  Tensor labels;
};

absl::StatusOr<Pair> ReadPair(const std::string& data_dir, Split split) {
  BITGRAD_ASSIGN_OR_RETURN(const std::string images_path, FindIdxFile(data_dir, split, IdxContent::kImages));
  BITGRAD_ASSIGN_OR_RETURN(const std::string labels_path, FindIdxFile(data_dir, split, IdxContent::kLabels));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor images, ReadIdx(images_path, /*least_rank=*/3, /*most_rank=*/4));
  BITGRAD_ASSIGN_OR_RETURN(Tensor labels, ReadIdx(labels_path, /*rank=*/1));
  const Shape& shape = images.shape();
  if (shape.rank() == 4 && shape.dim(3) > kMaxChannels) {
    return absl::InvalidArgumentError(
        absl::StrCat(images_path, ": expected [count, height, width, channels] with 1 to ", kMaxChannels,
                     " channels, found ", shape.ToString(), "; store the channels last"));
  }
  if (shape.dim(0) != labels.num_elements()) {
    return absl::InvalidArgumentError(absl::StrCat(images_path, " and ", labels_path, ": there are ", shape.dim(0),
                                                   " images but ", labels.num_elements(),
                                                   " labels; the two files must be a pair, get them again"));
  }
  const int64_t channels = shape.rank() == 4 ? shape.dim(3) : 1;
  return Pair{absl::StrCat(images_path, " and ", labels_path),
              images.Alias(Shape({shape.dim(0), shape.dim(1), shape.dim(2), channels})), std::move(labels)};
}

// The smallest and the largest label.
struct LabelRange {
  int64_t least = 255;
  int64_t most = 0;

  void Include(const Tensor& labels) {
    for (const uint8_t label : labels.span<uint8_t>()) {
      least = std::min<int64_t>(least, label);
      most = std::max<int64_t>(most, label);
    }
  }
};

struct Classes {
  int64_t first_label = 0;
  int64_t count = 0;
};

Classes ClassesOf(const LabelRange& found, const LoadOptions& options) {
  Classes classes;
  if (options.first_label >= 0) {
    classes.first_label = options.first_label;
  } else if (found.least > 0) {
    classes.first_label = options.classes == 0 || options.classes == found.most ? 1 : 0;
  }
  classes.count = options.classes > 0 ? options.classes : std::max<int64_t>(1, found.most - classes.first_label + 1);
  return classes;
}

// The first examples, with labels as numbers of classes.
absl::StatusOr<Dataset> MakeDataset(const char* name, const Pair& pair, const Classes& classes, int64_t limit) {
  // The whole file is checked, also where only a part of it is asked for.
  for (int64_t i = 0; i < pair.labels.num_elements(); ++i) {
    const int64_t label = pair.labels.data<uint8_t>()[i];
    if (label >= classes.first_label && label < classes.first_label + classes.count) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        pair.paths, ": label ", label, " of example ", i, " is outside [", classes.first_label, ", ",
        classes.first_label + classes.count,
        "); the two files must be a pair, get them again, or set data.name=idx and data.classes for other classes"));
  }
  const Shape& shape = pair.images.shape();
  const int64_t count = limit > 0 ? std::min(limit, shape.dim(0)) : shape.dim(0);
  const Shape taken({count, shape.dim(1), shape.dim(2), shape.dim(3)});
  Dataset dataset;
  dataset.name = name;
  dataset.images = count == shape.dim(0)
                       ? pair.images.Alias()
                       : Tensor::Of<uint8_t>(taken, pair.images.span<uint8_t>().first(taken.num_elements()));
  dataset.labels = Tensor(Shape({count}), DType::kInt32);
  std::transform(pair.labels.data<uint8_t>(), pair.labels.data<uint8_t>() + count,
                 dataset.labels.mutable_data<int32_t>(),
                 [&](uint8_t label) { return static_cast<int32_t>(label - classes.first_label); });
  dataset.num_classes = classes.count;
  dataset.class_names = NumberNames(classes.first_label, classes.count);
  return dataset;
}

absl::Status Explained(const char* name, const absl::Status& status, const std::string& how) {
  if (!absl::IsNotFound(status)) return status;
  return absl::NotFoundError(absl::StrCat(name, ": ", status.message(), ": ", how));
}

}  // namespace

absl::StatusOr<Dataset> LoadMnist(const LoadOptions& options) {
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat("mnist: no data directory given: ", HowToGetMnist()));
  }
  const absl::StatusOr<Pair> pair = ReadPair(options.data_dir, options.split);
  if (!pair.ok()) return Explained("mnist", pair.status(), HowToGetMnist());
  return MakeDataset("mnist", *pair, {0, kMnistClasses}, options.limit);
}

absl::StatusOr<Dataset> LoadIdx(const LoadOptions& options) {
  if (options.data_dir.empty()) {
    return absl::NotFoundError(absl::StrCat("idx: no data directory given: ", HowToNameFiles()));
  }
  if (options.first_label > 255 || options.classes < 0 || options.classes > 256) {
    return absl::InvalidArgumentError(absl::StrCat("idx: data.first_label and data.classes are ", options.first_label,
                                                   " and ", options.classes, "; labels are bytes, 0 to 255"));
  }
  const absl::StatusOr<Pair> pair = ReadPair(options.data_dir, options.split);
  if (!pair.ok()) return Explained("idx", pair.status(), HowToNameFiles());
  LabelRange found;
  found.Include(pair->labels);
  // The other split's labels make both splits have the same classes; that file may be missing, not damaged.
  const Split other = options.split == Split::kTrain ? Split::kTest : Split::kTrain;
  const absl::StatusOr<std::string> path = FindIdxFile(options.data_dir, other, IdxContent::kLabels);
  if (path.ok()) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor labels, ReadIdx(*path, /*rank=*/1));
    found.Include(labels);
  } else if (!absl::IsNotFound(path.status())) {
    return path.status();
  }
  const Classes classes = ClassesOf(found, options);
  BITGRAD_ASSIGN_OR_RETURN(Dataset dataset, MakeDataset("idx", *pair, classes, options.limit));
  dataset.summary = absl::StrCat("labels ", classes.first_label, " to ", classes.first_label + classes.count - 1);
  return dataset;
}

}  // namespace bitgrad
