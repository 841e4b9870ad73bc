#include "bitgrad/data/datasets.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/cifar.h"
#include "bitgrad/data/digits.h"
#include "bitgrad/data/image_folder.h"
#include "bitgrad/data/mnist.h"
#include "bitgrad/data/svhn.h"

namespace bitgrad {
namespace {

constexpr DatasetEntry kDatasets[] = {
    {"digits", LoadDigits, "built in: 28x28 digits drawn from a seed, 60,000 train, 10,000 test"},
    {"mnist", LoadMnist, "the MNIST database, or any data in its four idx files; needs --data_dir"},
    {"cifar10", LoadCifar10, "CIFAR-10's binary files: 32x32 RGB, 10 classes; needs --data_dir"},
    {"cifar100", LoadCifar100, "CIFAR-100's binary files, fine labels: 32x32 RGB; needs --data_dir"},
    {"svhn", LoadSvhn, "street view house numbers, .mat files: 32x32 RGB; needs --data_dir"},
    {"svhn_extra", LoadSvhnExtra, "svhn, training on the extra images as well; needs --data_dir"},
    {"image_folder", LoadImageFolder, "DIR/{train,val}/CLASS/*.jpg, cut to squares; needs --data_dir"},
};

}  // namespace

absl::Span<const DatasetEntry> Datasets() { return kDatasets; }

absl::StatusOr<Dataset> LoadDataset(const std::string& name, const LoadOptions& options) {
  if (options.limit < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the limit on examples is ", options.limit, "; it must be 0 (all) or more"));
  }
  std::vector<std::string> names;
  for (const DatasetEntry& entry : kDatasets) {
    names.push_back(entry.name);
    if (name != entry.name) continue;
    BITGRAD_ASSIGN_OR_RETURN(Dataset dataset, entry.load(options));
    BITGRAD_RETURN_IF_ERROR(dataset.Validate());
    return dataset;
  }
  return absl::InvalidArgumentError(absl::StrCat("there is no data set '", name, "'", DidYouMean(name, names),
                                                 "; choose one of: ", absl::StrJoin(names, ", ")));
}

}  // namespace bitgrad
