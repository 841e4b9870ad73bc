#include "bitgrad/data/datasets.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/cifar.h"
#include "bitgrad/data/digits.h"
#include "bitgrad/data/idx_dataset.h"
#include "bitgrad/data/image_folder.h"
#include "bitgrad/data/iris.h"
#include "bitgrad/data/plane.h"
#include "bitgrad/data/svhn.h"
#include "bitgrad/data/temporal_order.h"
#include "bitgrad/data/texts.h"

namespace bitgrad {
namespace {

constexpr DatasetEntry kDatasets[] = {
    {"digits", LoadDigits, "built in: 28x28 digits drawn from a seed, 60,000 train, 10,000 test", {{28, 28, 1}, 10}},
    {"mnist",
     LoadMnist,
     "the MNIST database, or any 10-class data in its four idx files; needs --data_dir",
     {{28, 28, 1}, 10}},
    {"idx", LoadIdx, "idx files of any image size and classes (EMNIST, KMNIST, Fashion); needs --data_dir", {}},
    {"cifar10", LoadCifar10, "CIFAR-10's binary files: 32x32 RGB, 10 classes; needs --data_dir", {{32, 32, 3}, 10}},
    {"cifar100",
     LoadCifar100,
     "CIFAR-100's binary files, fine labels: 32x32 RGB; needs --data_dir",
     {{32, 32, 3}, 100}},
    {"svhn", LoadSvhn, "street view house numbers, .mat files: 32x32 RGB; needs --data_dir", {{32, 32, 3}, 10}},
    {"svhn_extra", LoadSvhnExtra, "svhn, training on the extra images as well; needs --data_dir", {{32, 32, 3}, 10}},
    {"image_folder", LoadImageFolder, "DIR/{train,val}/CLASS/*.{jpg,png}, cut to squares; needs --data_dir", {}},
    {"iris",
     LoadIris,
     "built in: Fisher's 150 flowers, four lengths of each; every fifth row tests",
     {{1, kIrisFeatures, 1}, kIrisClasses}},
    {"temporal_order",
     LoadTemporalOrder,
     "built in: sequences of 30 symbols, two of whose order is the class, 20,000 train, 2,000 test",
     {{kTemporalOrderSteps, kTemporalOrderSymbols, 1}, kTemporalOrderClasses}},
    {"circle",
     LoadCircle,
     "built in: points of a square, in or out of a disc, 1,500 train, 65,536 test",
     {{1, 2, 1}, kPlaneClasses}},
    {"s_shape",
     LoadSShape,
     "built in: points of a square, in or out of an S, 1,500 train, 65,536 test",
     {{1, 2, 1}, kPlaneClasses}},
};

// "mnist train: 60000 images of 28x28x1, 10 classes", and what the reader has to say besides.
std::string Summary(const Dataset& dataset, Split split) {
  std::vector<bool> present(dataset.num_classes);
  for (const int32_t label : dataset.labels.span<int32_t>()) present[label] = true;
  const int64_t absent = std::count(present.begin(), present.end(), false);
  std::string summary = absl::StrCat(dataset.name, " ", Name(split), ": ", dataset.size(), " images of ",
                                     dataset.image_shape().ToString(), ", ", dataset.num_classes, " classes");
  if (absent > 0) absl::StrAppend(&summary, ", ", absent, " of them without an image");
  if (!dataset.summary.empty()) absl::StrAppend(&summary, "; ", dataset.summary);
  return summary;
}

}  // namespace

absl::Span<const DatasetEntry> Datasets() { return kDatasets; }

namespace {

// The entry of that name, or the error with the nearest and all known names.
absl::StatusOr<const DatasetEntry*> Find(const std::string& name) {
  std::vector<std::string> names;
  for (const DatasetEntry& entry : kDatasets) {
    if (name == entry.name) return &entry;
    names.push_back(entry.name);
  }
  if (FindTextDataset(name) != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat("data set '", name, "' is a text, and what is to be done with it ",
                                                   "takes images; choose one of: ", absl::StrJoin(names, ", ")));
  }
  for (const TextDatasetEntry& entry : TextDatasets()) names.push_back(entry.name);
  return absl::InvalidArgumentError(absl::StrCat("there is no data set '", name, "'", DidYouMean(name, names),
                                                 "; choose one of: ", absl::StrJoin(names, ", ")));
}

}  // namespace

absl::StatusOr<Dataset> LoadDataset(const std::string& name, const LoadOptions& options) {
  if (options.limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the limit on examples is ", options.limit, "; it must be 0 (all) or more"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const DatasetEntry* entry, Find(name));
  BITGRAD_ASSIGN_OR_RETURN(Dataset dataset, entry->load(options));
  BITGRAD_RETURN_IF_ERROR(dataset.Validate());
  dataset.summary = Summary(dataset, options.split);
  return dataset;
}

absl::StatusOr<DataKind> KindOfDataset(const std::string& name, int64_t image_size) {
  if (FindTextDataset(name) != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("the vocabulary of data set '", name,
                     "', a text, is known from its files alone; train --count_arithmetic counts a ", "step of it"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const DatasetEntry* entry, Find(name));
  if (name == "image_folder") {
    const int64_t size = image_size == 0 ? 224 : image_size;
    return DataKind{{size, size, 3}, 1000};
  }
  if (entry->kind.classes > 0) return entry->kind;
  return absl::FailedPreconditionError(
      absl::StrCat("the size of images and the number of classes of data set '", name,
                   "' are known from its files alone; choose one that is known, e.g. --set=data.name=mnist"));
}

}  // namespace bitgrad
