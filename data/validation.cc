#include "bitgrad/data/validation.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/first_few.h"

namespace bitgrad {
namespace {

// Another source's images in another order.
class ReorderedImages final : public ImageSource {
 public:
  ReorderedImages(std::shared_ptr<const ImageSource> images, std::vector<int64_t> order)
      : images_(std::move(images)), order_(std::move(order)) {}

  int64_t size() const override { return static_cast<int64_t>(order_.size()); }
  ImageShape shape() const override { return images_->shape(); }
  absl::Status Read(int64_t example, uint8_t* pixels) const override { return images_->Read(order_[example], pixels); }

 private:
  std::shared_ptr<const ImageSource> images_;
  std::vector<int64_t> order_;
};

// Example i of the result is example order[i] of before.
void Reorder(const std::vector<int64_t>& order, Dataset& dataset) {
  Tensor labels(dataset.labels.shape(), DType::kInt32);
  for (size_t i = 0; i < order.size(); ++i) {
    labels.mutable_data<int32_t>()[i] = dataset.labels.data<int32_t>()[order[i]];
  }
  dataset.labels = std::move(labels);
  if (dataset.source != nullptr) {
    dataset.source = std::make_shared<ReorderedImages>(dataset.source, order);
    return;
  }
  const int64_t features = dataset.features();
  Tensor images(dataset.images.shape(), DType::kUint8);
  uint8_t* to = images.mutable_data<uint8_t>();
  const uint8_t* from = dataset.images.data<uint8_t>();
  for (const int64_t example : order) {
    std::memcpy(to, from + example * features, features);
    to += features;
  }
  dataset.images = std::move(images);
}

// How often each class occurs in the range.
std::vector<int64_t> CountClasses(const Dataset& dataset, const ExampleRange& range) {
  std::vector<int64_t> counts(dataset.num_classes);
  for (int64_t i = range.begin; i < range.end; ++i) ++counts[dataset.labels.data<int32_t>()[i]];
  return counts;
}

int64_t CountPresent(const std::vector<int64_t>& counts) {
  return std::count_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; });
}

std::string ClassName(const Dataset& dataset, int64_t label) {
  return dataset.class_names.empty() ? absl::StrCat(label) : dataset.class_names[label];
}

}  // namespace

absl::StatusOr<TrainValidation> SplitLast(const Dataset& dataset, int64_t validation_count) {
  if (validation_count < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("the number of validation examples is ", validation_count, "; it must be 0 or more"));
  }
  if (validation_count >= dataset.size()) {
    return absl::InvalidArgumentError(absl::StrCat(validation_count,
                                                   " validation examples leave nothing to train on: the training set '",
                                                   dataset.name, "' has ", dataset.size(), " examples; ask for fewer"));
  }
  const int64_t train_count = dataset.size() - validation_count;
  return TrainValidation{{0, train_count}, {train_count, dataset.size()}};
}

absl::StatusOr<TrainValidation> SplitSpread(int64_t validation_count, Dataset& dataset) {
  BITGRAD_ASSIGN_OR_RETURN(const TrainValidation parts, SplitLast(dataset, validation_count));
  const int64_t count = dataset.size();
  const int32_t* labels = dataset.labels.data<int32_t>();
  std::vector<int64_t> by_class(count);
  std::iota(by_class.begin(), by_class.end(), 0);
  std::stable_sort(by_class.begin(), by_class.end(), [&](int64_t a, int64_t b) { return labels[a] < labels[b]; });
  std::vector<bool> validates(count);
  for (int64_t p = 0; p < count; ++p) {
    validates[by_class[p]] = (p + 1) * validation_count / count > p * validation_count / count;
  }
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::stable_partition(order.begin(), order.end(), [&](int64_t example) { return !validates[example]; });
  Reorder(order, dataset);
  return parts;
}

absl::Status CheckTrainingClasses(const Dataset& train, const ExampleRange& range) {
  const std::vector<int64_t> counts = CountClasses(train, range);
  if (CountPresent(counts) != 1) return absl::OkStatus();
  const int64_t only =
      std::find_if(counts.begin(), counts.end(), [](int64_t count) { return count > 0; }) - counts.begin();
  return absl::InvalidArgumentError(absl::StrCat(
      "all ", range.size(), " training examples of data set '", train.name, "' are of class ", ClassName(train, only),
      ": there is nothing to tell apart, and an error of 0 % would say nothing; train on two classes or more",
      train.num_classes > 1 ? " (raise data.limit, or set data.validation=SPREAD where the data are sorted)" : ""));
}

std::vector<std::string> SplitWarnings(const Dataset& train, const TrainValidation& parts, const Dataset& test) {
  std::vector<std::string> warnings;
  const std::vector<int64_t> training = CountClasses(train, parts.train);
  const std::vector<int64_t> validation = CountClasses(train, parts.validation);
  const double share = static_cast<double>(parts.validation.size()) / static_cast<double>(train.size());
  std::vector<std::string> missed, only_there;
  for (int64_t c = 0; c < train.num_classes; ++c) {
    const double expected = static_cast<double>(training[c] + validation[c]) * share;
    if (validation[c] == 0 && expected >= 10) missed.push_back(ClassName(train, c));
    if (validation[c] > 0 && training[c] == 0) only_there.push_back(ClassName(train, c));
  }
  const bool one_class = parts.validation.size() > 1 && CountPresent(validation) == 1;
  if (one_class || !missed.empty() || !only_there.empty()) {
    std::string why;
    if (one_class) absl::StrAppend(&why, ", all of one class");
    if (!missed.empty()) absl::StrAppend(&why, ", none of ", FirstFew(missed, "class", "classes"));
    if (!only_there.empty()) {
      absl::StrAppend(&why, ", all that there are of ", FirstFew(only_there, "class", "classes"));
    }
    warnings.push_back(absl::StrCat("the last ", parts.validation.size(), " of the ", train.size(),
                                    " training examples validate", why,
                                    ": the data seem to be sorted; set data.validation=SPREAD"));
  }
  if (test.size() > 1 && CountPresent(CountClasses(test, AllExamples(test))) == 1) {
    warnings.push_back(absl::StrCat("all ", test.size(), " test examples are of one class"));
  }
  return warnings;
}

}  // namespace bitgrad
