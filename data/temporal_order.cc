#include "bitgrad/data/temporal_order.h"

#include <algorithm>

#include "bitgrad/core/rng.h"

namespace bitgrad {
namespace {

// Changing any of these makes another data set: figures that were measured before can no longer be compared.
constexpr uint8_t kFirst = 0, kLast = 1, kFirstDistractor = 2;
constexpr uint32_t kDistractors = 4;
constexpr uint32_t kPlace[2] = {2, 16};  // the least step of each place
constexpr uint32_t kPlaces = 6;          // how many steps it may be at

}  // namespace

std::array<uint8_t, kTemporalOrderSteps> TemporalOrderSymbols(uint64_t seed, Split split, int64_t index) {
  const RngStream rng{.seed = seed,
                      .purpose = RngPurpose::kSynthesis,
                      .step = static_cast<uint32_t>(split),
                      .stream = static_cast<uint32_t>(index)};
  std::array<uint8_t, kTemporalOrderSteps> symbols;
  for (int64_t i = 0; i < kTemporalOrderSteps; ++i) {
    symbols[i] = static_cast<uint8_t>(kFirstDistractor + UniformBelow(rng, i, kDistractors));
  }
  symbols.front() = kFirst;
  symbols.back() = kLast;
  const int32_t label = TemporalOrderLabel(index);
  for (int i = 0; i < 2; ++i) {
    const bool is_y = (i == 0 ? label / 2 : label % 2) == 1;
    symbols[kPlace[i] + UniformBelow(rng, kTemporalOrderSteps + i, kPlaces)] = is_y ? kSymbolY : kSymbolX;
  }
  return symbols;
}

absl::StatusOr<Dataset> LoadTemporalOrder(const LoadOptions& options) {
  int64_t count = options.split == Split::kTrain ? kTemporalOrderTrainExamples : kTemporalOrderTestExamples;
  if (options.limit > 0) count = std::min(count, options.limit);
  Dataset dataset{"temporal_order",
                  Tensor::Zeros({count, kTemporalOrderSteps, kTemporalOrderSymbols, 1}, DType::kUint8),
                  Tensor(Shape({count}), DType::kInt32), kTemporalOrderClasses};
  dataset.class_names = {"XX", "XY", "YX", "YY"};
  uint8_t* pixel = dataset.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    dataset.labels.mutable_data<int32_t>()[i] = TemporalOrderLabel(i);
    for (const uint8_t symbol : TemporalOrderSymbols(options.seed, options.split, i)) {
      pixel[symbol] = 255;
      pixel += kTemporalOrderSymbols;
    }
  }
  return dataset;
}

}  // namespace bitgrad
