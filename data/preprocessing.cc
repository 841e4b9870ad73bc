#include "bitgrad/data/preprocessing.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/normalize.h"

namespace bitgrad {
namespace {

constexpr int64_t kBlockRows = 1024;

}  // namespace

absl::Status Preprocessing::SetShape(const ImageShape& shape) {
  if (std::min({shape.height, shape.width, shape.channels}) <= 0) {
    return absl::InvalidArgumentError(absl::StrCat("preprocessing: there are no images of ", shape.ToString()));
  }
  for (const auto& step : steps_) BITGRAD_RETURN_IF_ERROR(step->SetShape(shape));
  return absl::OkStatus();
}

absl::Status Preprocessing::Fit(const Dataset& dataset, const ExampleRange& range, int threads) {
  const int64_t features = dataset.features();
  std::vector<uint8_t> buffer;
  absl::Status status;  // of reading images
  Tensor block({std::min(kBlockRows, range.size()), features}, DType::kFloat32);
  for (size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i]->learned().empty()) continue;
    const auto images = [&](PreprocessingStep::Visitor visit) {
      for (int64_t begin = range.begin; begin < range.end; begin += kBlockRows) {
        const MatrixView<float> rows(block.mutable_data<float>(), std::min(kBlockRows, range.end - begin), features);
        const auto pixels = dataset.Pixels({begin, begin + rows.rows}, threads, buffer);
        if (!pixels.ok()) {
          status = pixels.status();
          return;
        }
        std::transform(pixels->data, pixels->data + rows.size(), rows.data, NormalizePixel);
        for (size_t before = 0; before < i; ++before) steps_[before]->Apply(rows);
        visit(rows);
      }
    };
    steps_[i]->Fit(images, threads);
    BITGRAD_RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

std::vector<LearnedTensor> Preprocessing::learned() const {
  std::vector<LearnedTensor> all;
  for (size_t i = 0; i < steps_.size(); ++i) {
    for (const LearnedTensor& learned : steps_[i]->learned()) {
      all.push_back({absl::StrCat("preprocessing", i, "/", learned.name), learned.tensor});
    }
  }
  return all;
}

void Preprocessing::Apply(MatrixView<float> images) const {
  for (const auto& step : steps_) step->Apply(images);
}

}  // namespace bitgrad
