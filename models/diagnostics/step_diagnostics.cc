#include "bitgrad/models/diagnostics/step_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"

namespace bitgrad {
namespace {

constexpr int64_t kGradientEvery = 32;
// The second step of an epoch: the first one may still be finding its memory.
constexpr int64_t kTimedStep = 1;
constexpr int64_t kBlock = 64;
constexpr int64_t kMostSampled = 4096;
// Of a small layer no more is looked at than costs little beside the step.
constexpr int64_t kSampledShare = 64;

bool IsWeight(const Parameter& parameter) {
  return parameter.trainable && parameter.value.dtype() == DType::kFloat32 &&
         (parameter.kind == ParameterKind::kWeight || parameter.kind == ParameterKind::kQuantizedWeight);
}

double SumOfSquares(absl::Span<const float> values) {
  // Independent sums, which the compiler keeps in vector registers.
  constexpr size_t kSums = 16;
  float sums[kSums] = {};
  double total = 0;
  constexpr size_t kChunk = 4096;  // so few that float sums lose nothing that matters
  for (size_t begin = 0; begin < values.size(); begin += kChunk) {
    const absl::Span<const float> chunk = values.subspan(begin, kChunk);
    std::fill(std::begin(sums), std::end(sums), 0.0f);
    size_t i = 0;
    for (; i + kSums <= chunk.size(); i += kSums) {
      for (size_t k = 0; k < kSums; ++k) sums[k] += chunk[i + k] * chunk[i + k];
    }
    for (; i < chunk.size(); ++i) sums[0] += chunk[i] * chunk[i];
    for (const float sum : sums) total += double{sum};
  }
  return total;
}

}  // namespace

std::string LayerOf(const Parameter& parameter) {
  absl::string_view layer = parameter.name;
  absl::ConsumeSuffix(&layer, "/weight");
  return std::string(layer);
}

diagnostics::Layer& LayerIn(const std::string& name, diagnostics::Epoch& epoch) {
  for (diagnostics::Layer& layer : *epoch.mutable_layers()) {
    if (layer.layer() == name) return layer;
  }
  diagnostics::Layer& added = *epoch.add_layers();
  added.set_layer(name);
  return added;
}

void StepDiagnostics::Begin(Tape& tape) {
  // The last step that is timed counts: an epoch that has only one is timed with that.
  timed_ = steps_ <= kTimedStep;
  if (timed_) timeline_.Begin(tape);
}

void StepDiagnostics::BeforeUpdate(absl::Span<Parameter* const> parameters) {
  if (steps_ % kGradientEvery == 0) MeasureGradients(parameters);
  if (timed_) timeline_.BeginUpdate();
}

void StepDiagnostics::MeasureGradients(absl::Span<Parameter* const> parameters) {
  for (const Parameter* parameter : parameters) {
    if (!IsWeight(*parameter) || parameter->gradient.is_null()) continue;
    Gradient& gradient = gradients_[LayerOf(*parameter)];
    // What the product has noted as it made the gradient costs nothing.
    const double noted = parameter->gradient.sum_of_squares();
    gradient.sum_of_squares += noted >= 0 ? noted : SumOfSquares(parameter->gradient.span<float>());
    ++gradient.steps;
  }
}

void StepDiagnostics::AfterUpdate(absl::Span<Parameter* const> parameters) {
  if (timed_) {
    timeline_.EndUpdate();
    measured_ = {};
    for (diagnostics::Part& part : PartsOf(timeline_.spans())) *measured_.add_parts() = std::move(part);
    measured_.set_step_seconds(timeline_.spans().back().end - timeline_.begin());
    measured_.set_step_bytes(timeline_.peak_bytes());
  }
  timed_ = false;
  ++steps_;
  for (const Parameter* parameter : parameters) {
    if (!IsWeight(*parameter) || !parameter->is_quantized()) continue;
    const auto [known, is_new] = signs_.try_emplace(LayerOf(*parameter));
    if (is_new) known->second = SampleOf(*parameter);
    Follow(*parameter, known->second);
  }
}

StepDiagnostics::Signs StepDiagnostics::SampleOf(const Parameter& parameter) {
  Signs signs;
  const int64_t count = parameter.value.num_elements();
  const float* const values = parameter.value.data<float>();
  signs.block_size = std::min(kBlock, count);
  const int64_t most = std::min(kMostSampled, std::max(count / kSampledShare, kBlock));
  const int64_t blocks = std::max<int64_t>(std::min(most, count) / kBlock, 1);
  for (int64_t i = 0; i < blocks; ++i) {
    signs.blocks.push_back((count - signs.block_size) * i / std::max<int64_t>(blocks - 1, 1));
    // A weight of less than a block has zeros behind it, which never flip.
    for (int64_t k = 0; k < kBlock; ++k) {
      signs.negative.push_back(k < signs.block_size && values[signs.blocks.back() + k] < 0);
    }
  }
  signs.age.assign(signs.negative.size(), kFlipBackSteps + 1);
  return signs;
}

void StepDiagnostics::Follow(const Parameter& parameter, Signs& signs) {
  const float* const values = parameter.value.data<float>();
  uint8_t *negative = signs.negative.data(), *age = signs.age.data();
  // Loops of fixed length over bytes, with sums that a byte holds: these become vector instructions.
  static_assert(kBlock < 256);
  for (const int64_t begin : signs.blocks) {
    uint8_t now[kBlock] = {};
    for (int64_t k = 0; k < signs.block_size; ++k) now[k] = values[begin + k] < 0;
    uint8_t flips = 0, flips_back = 0;
    for (int64_t k = 0; k < kBlock; ++k) {
      const uint8_t flipped = now[k] ^ negative[k];
      flips += flipped;
      flips_back += flipped & (age[k] <= kFlipBackSteps);
      age[k] = flipped != 0 ? 1 : std::min<uint8_t>(age[k] + 1, kFlipBackSteps + 1);
      negative[k] = now[k];
    }
    signs.flips += flips;
    signs.flips_back += flips_back;
    negative += kBlock;
    age += kBlock;
  }
}

void StepDiagnostics::FinishEpoch(diagnostics::Epoch& epoch) {
  *epoch.mutable_parts() = measured_.parts();
  epoch.set_step_seconds(measured_.step_seconds());
  epoch.set_step_bytes(measured_.step_bytes());
  for (const auto& [layer, gradient] : gradients_) {
    LayerIn(layer, epoch).set_gradient_norm(std::sqrt(gradient.sum_of_squares / static_cast<double>(gradient.steps)));
  }
  for (auto& [layer, signs] : signs_) {
    if (signs.flips > 0) {
      LayerIn(layer, epoch).set_flipped_back(static_cast<double>(signs.flips_back) / static_cast<double>(signs.flips));
    }
    signs.flips = signs.flips_back = 0;
  }
  measured_ = {};
  gradients_.clear();
  steps_ = 0;
}

}  // namespace bitgrad
