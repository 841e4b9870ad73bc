#include "bitgrad/models/training/incremental_loss.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr double kMostTerm = 0x1p20;
constexpr double kMostLogit = 500;
// How many examples are worth a thread of their own: where a visit is one term of the loss, and where it is more.
constexpr int64_t kCheapPiece = 16384, kCostlyPiece = 1024;

int64_t InUnits(double loss) {
  return static_cast<int64_t>(std::min(loss, kMostTerm) * (1 / IncrementalLoss::kUnit) + 0.5);
}

double Exponential(float logit) { return std::exp(std::clamp(double{logit}, -kMostLogit, kMostLogit)); }

}  // namespace

absl::StatusOr<std::unique_ptr<IncrementalLoss>> IncrementalLoss::Create(DiscreteMlp& net, recipe::Loss loss,
                                                                         const Batch& batch, int threads) {
  std::unique_ptr<IncrementalLoss> result(new IncrementalLoss(net, loss, threads));
  BITGRAD_RETURN_IF_ERROR(result->Fill(batch));
  return result;
}

absl::Status IncrementalLoss::Fill(const Batch& batch) {
  const absl::Span<const DiscreteMlp::Units> layers = net_.layers();
  examples_ = batch.size();
  classes_ = layers.back().out;
  if (examples_ > kMostTerms / classes_) {
    return absl::InvalidArgumentError(absl::StrCat("coordinate descent: a batch of ", examples_, " examples in ",
                                                   classes_, " classes is too large for its exact sums; use at most ",
                                                   kMostTerms / classes_));
  }
  labels_.assign(batch.labels.span<int32_t>().begin(), batch.labels.span<int32_t>().end());
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<int16_t> codes, net_.InputCodes(batch.images));

  const int64_t inputs = layers[0].in;
  starts_.assign(static_cast<size_t>(inputs + 1), 0);
  for (size_t k = 0; k < codes.size(); ++k) {
    if (codes[k] != 0) ++starts_[k % static_cast<size_t>(inputs) + 1];
  }
  for (size_t i = 1; i < starts_.size(); ++i) starts_[i] += starts_[i - 1];
  reached_.resize(static_cast<size_t>(starts_.back()));
  codes_.resize(reached_.size());
  std::vector<int64_t> next(starts_.begin(), starts_.end() - 1);
  for (int64_t e = 0; e < examples_; ++e) {
    for (int64_t i = 0; i < inputs; ++i) {
      const int16_t code = codes[static_cast<size_t>(e * inputs + i)];
      if (code == 0) continue;
      const auto place = static_cast<size_t>(next[static_cast<size_t>(i)]++);
      reached_[place] = static_cast<int32_t>(e);
      codes_[place] = code;
    }
  }
  for (size_t l = 0; l < layers.size(); ++l) {
    State& state = states_.emplace_back();
    state.unit_stride = l == 0 ? examples_ : 1;
    state.example_stride = l == 0 ? 1 : layers[l].out;
    state.sums.resize(static_cast<size_t>(examples_ * layers[l].out));
    if (l + 1 < layers.size()) state.codes.resize(state.sums.size());
  }
  losses_.resize(static_cast<size_t>(examples_));
  if (loss_ == recipe::SOFTMAX_CROSS_ENTROPY) exponentials_.resize(static_cast<size_t>(examples_ * classes_));
  ComputeFromNothing();
  return absl::OkStatus();
}

void IncrementalLoss::ComputeFromNothing() {
  const absl::Span<const DiscreteMlp::Units> layers = net_.layers();
  for (int64_t i = 0; i < layers[0].in; ++i) {
    const int16_t* const weights = &layers[0].weights[static_cast<size_t>(i * layers[0].out)];
    for (int64_t unit = 0; unit < layers[0].out; ++unit) {
      const int32_t weight = weights[unit];
      if (weight == 0) continue;
      int32_t* const sums = &states_[0].sums[static_cast<size_t>(unit * examples_)];
      for (auto k = static_cast<size_t>(starts_[static_cast<size_t>(i)]);
           k < static_cast<size_t>(starts_[static_cast<size_t>(i) + 1]); ++k) {
        sums[reached_[k]] += weight * codes_[k];
      }
    }
  }
  std::atomic<int64_t> total = 0;
  ParallelFor(threads_, examples_, kCostlyPiece, [&](int64_t begin, int64_t end) {
    int64_t sum = 0;
    std::vector<float> logits(static_cast<size_t>(classes_));
    for (int64_t e = begin; e < end; ++e) {
      for (size_t l = 0; l < layers.size(); ++l) {
        const DiscreteMlp::Units& layer = layers[l];
        State& state = states_[l];
        for (int64_t unit = 0; unit < layer.out; ++unit) {
          int32_t& z = state.sums[static_cast<size_t>(state.At(unit, e))];
          if (l > 0) {
            const State& before = states_[l - 1];
            z = 0;
            for (int64_t i = 0; i < layer.in; ++i) {
              z += layer.weights[static_cast<size_t>(i * layer.out + unit)] *
                   before.codes[static_cast<size_t>(before.At(i, e))];
            }
          }
          const int32_t bias = layer.biases[static_cast<size_t>(unit)];
          if (l + 1 == layers.size()) {
            logits[static_cast<size_t>(unit)] = net_.Output(layer, z, bias);
          } else {
            state.codes[static_cast<size_t>(state.At(unit, e))] =
                layer.codes[static_cast<size_t>(bias)][static_cast<size_t>(z + layer.bound)];
          }
        }
      }
      const auto place = static_cast<size_t>(e);
      losses_[place] =
          LossOf(logits, labels_[place], exponentials_.empty() ? nullptr : &exponentials_[place * logits.size()]);
      sum += losses_[place];
    }
    total += sum;
  });
  total_ = total;
}

int64_t IncrementalLoss::Term(float output, bool is_label) const {
  const double margin = is_label ? 1 - double{output} : 1 + double{output};
  return margin > 0 ? InUnits(margin * margin) : 0;
}

int64_t IncrementalLoss::LogLoss(const double* exponentials, int64_t changed, double exponential,
                                 float label_logit) const {
  double sum = 0;
  for (int64_t c = 0; c < classes_; ++c) sum += c == changed ? exponential : exponentials[c];
  const double loss = std::log(sum) - std::clamp(double{label_logit}, -kMostLogit, kMostLogit);
  return InUnits(std::max(loss, 0.0));
}

int64_t IncrementalLoss::LossOf(absl::Span<const float> logits, int32_t label, double* exponentials) const {
  if (loss_ == recipe::SOFTMAX_CROSS_ENTROPY) {
    std::array<double, 64> few;
    std::vector<double> many;
    if (exponentials == nullptr) {
      many.resize(logits.size() > few.size() ? logits.size() : 0);
      exponentials = many.empty() ? few.data() : many.data();
    }
    for (size_t c = 0; c < logits.size(); ++c) exponentials[c] = Exponential(logits[c]);
    return LogLoss(exponentials, 0, exponentials[0], logits[static_cast<size_t>(label)]);
  }
  int64_t loss = 0;
  for (size_t c = 0; c < logits.size(); ++c) loss += Term(logits[c], static_cast<int32_t>(c) == label);
  return loss;
}

double IncrementalLoss::mean() const {
  const bool by_class = loss_ != recipe::SOFTMAX_CROSS_ENTROPY && loss_ != recipe::SQUARED_HINGE_SUM;
  return static_cast<double>(total_) * kUnit / static_cast<double>(by_class ? examples_ * classes_ : examples_);
}

int64_t IncrementalLoss::errors() const {
  const DiscreteMlp::Units& layer = net_.layers().back();
  const State& state = states_.back();
  int64_t errors = 0;
  for (int64_t e = 0; e < examples_; ++e) {
    int64_t best = 0;
    float most = -std::numeric_limits<float>::infinity();
    for (int64_t unit = 0; unit < layer.out; ++unit) {
      const float y = net_.Output(layer, state.sums[static_cast<size_t>(state.At(unit, e))],
                                  layer.biases[static_cast<size_t>(unit)]);
      if (y > most) best = unit;
      most = std::max(most, y);
    }
    errors += best != labels_[static_cast<size_t>(e)];
  }
  return errors;
}

int64_t IncrementalLoss::Reached(const Coordinate& at) const {
  if (at.layer > 0 || at.is_bias) return examples_;
  return starts_[static_cast<size_t>(at.input) + 1] - starts_[static_cast<size_t>(at.input)];
}

template <typename Visit>
void IncrementalLoss::ForPiece(const Coordinate& at, int64_t begin, int64_t end, const Visit& visit) const {
  if (at.is_bias) {
    for (int64_t e = begin; e < end; ++e) visit(e, 0);
  } else if (at.layer == 0) {
    const int64_t start = starts_[static_cast<size_t>(at.input)];
    for (int64_t k = start + begin; k < start + end; ++k) {
      visit(int64_t{reached_[static_cast<size_t>(k)]}, int32_t{codes_[static_cast<size_t>(k)]});
    }
  } else {
    const State& before = states_[static_cast<size_t>(at.layer - 1)];
    for (int64_t e = begin; e < end; ++e) {
      if (const int32_t code = before.codes[static_cast<size_t>(before.At(at.input, e))]; code != 0) visit(e, code);
    }
  }
}

// Of the weight's code.
int32_t IncrementalLoss::Difference(const Coordinate& at, int choice) const {
  if (at.is_bias) return 0;
  const DiscreteMlp::Units& layer = net_.layers()[static_cast<size_t>(at.layer)];
  return net_.values()[static_cast<size_t>(choice)] -
         layer.weights[static_cast<size_t>(at.input * layer.out + at.unit)];
}

int32_t IncrementalLoss::BiasOf(const Coordinate& at, int choice) const {
  return at.is_bias ? choice : net_.layers()[static_cast<size_t>(at.layer)].biases[static_cast<size_t>(at.unit)];
}

void IncrementalLoss::Try(const Coordinate& at, absl::Span<const int> choices, absl::Span<int64_t> changes) {
  if (static_cast<size_t>(at.layer) + 1 == states_.size()) {
    TryInLastLayer(at, choices, changes);
  } else {
    TryInHiddenLayer(at, choices, changes);
  }
}

void IncrementalLoss::TryInLastLayer(const Coordinate& at, absl::Span<const int> choices, absl::Span<int64_t> changes) {
  const DiscreteMlp::Units& layer = net_.layers().back();
  const State& state = states_.back();
  const size_t count = choices.size();
  const int32_t bias = layer.biases[static_cast<size_t>(at.unit)];
  std::array<int32_t, kMostDiscreteValues> differences, biases;
  for (size_t k = 0; k < count; ++k) {
    differences[k] = Difference(at, choices[k]);
    biases[k] = BiasOf(at, choices[k]);
  }
  const bool hinge = exponentials_.empty();
  std::array<std::atomic<int64_t>, kMostDiscreteValues> totals = {};
  ParallelFor(threads_, Reached(at), hinge ? kCheapPiece : kCostlyPiece, [&](int64_t begin, int64_t end) {
    std::array<int64_t, kMostDiscreteValues> sums = {};
    ForPiece(at, begin, end, [&](int64_t e, int32_t code) {
      const int32_t z = state.sums[static_cast<size_t>(state.At(at.unit, e))];
      const int32_t label = labels_[static_cast<size_t>(e)];
      const bool is_label = label == at.unit;
      if (hinge) {
        const int64_t before = Term(net_.Output(layer, z, bias), is_label);
        for (size_t k = 0; k < count; ++k) {
          sums[k] += Term(net_.Output(layer, z + differences[k] * code, biases[k]), is_label) - before;
        }
        return;
      }
      const float label_logit = is_label ? 0
                                         : net_.Output(layer, state.sums[static_cast<size_t>(state.At(label, e))],
                                                       layer.biases[static_cast<size_t>(label)]);
      for (size_t k = 0; k < count; ++k) {
        const float y = net_.Output(layer, z + differences[k] * code, biases[k]);
        sums[k] += LogLoss(&exponentials_[static_cast<size_t>(e * classes_)], at.unit, Exponential(y),
                           is_label ? y : label_logit) -
                   losses_[static_cast<size_t>(e)];
      }
    });
    for (size_t k = 0; k < count; ++k) totals[k] += sums[k];
  });
  for (size_t k = 0; k < count; ++k) changes[k] = totals[k];
}

void IncrementalLoss::TryInHiddenLayer(const Coordinate& at, absl::Span<const int> choices,
                                       absl::Span<int64_t> changes) {
  const auto l = static_cast<size_t>(at.layer);
  const DiscreteMlp::Units& layer = net_.layers()[l];
  const State& state = states_[l];
  const size_t count = choices.size();
  std::array<int32_t, kMostDiscreteValues> differences;
  std::array<const int16_t*, kMostDiscreteValues> tables;
  for (size_t k = 0; k < count; ++k) {
    differences[k] = Difference(at, choices[k]);
    tables[k] = layer.codes[static_cast<size_t>(BiasOf(at, choices[k]))].data() + layer.bound;
  }
  std::array<std::atomic<int64_t>, kMostDiscreteValues> totals = {};
  ParallelFor(threads_, Reached(at), kCostlyPiece, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    std::array<int64_t, kMostDiscreteValues> sums = {};
    ForPiece(at, begin, end, [&](int64_t e, int32_t code) {
      const auto place = static_cast<size_t>(state.At(at.unit, e));
      const int32_t z = state.sums[place], before = state.codes[place];
      for (size_t k = 0; k < count; ++k) {
        const int32_t after = tables[k][z + differences[k] * code];
        if (after == before) continue;
        scratch.changes.assign(1, {at.unit, after - before});
        sums[k] += Behind(l + 1, e, /*keep=*/false, scratch) - losses_[static_cast<size_t>(e)];
      }
    });
    for (size_t k = 0; k < count; ++k) totals[k] += sums[k];
  });
  for (size_t k = 0; k < count; ++k) changes[k] = totals[k];
}

int64_t IncrementalLoss::Behind(size_t layer_index, int64_t example, bool keep, Scratch& scratch) {
  const auto e = static_cast<size_t>(example);
  for (size_t l = layer_index; l < states_.size(); ++l) {
    const DiscreteMlp::Units& layer = net_.layers()[l];
    State& state = states_[l];
    const auto out = static_cast<size_t>(layer.out);
    int32_t* const z = &state.sums[e * out];  // layers behind the first one have the units of an example together
    scratch.sums.assign(z, z + out);
    for (const InputChange& change : scratch.changes) {
      const int16_t* const weights = &layer.weights[static_cast<size_t>(change.input) * out];
      for (size_t unit = 0; unit < out; ++unit) scratch.sums[unit] += weights[unit] * change.difference;
    }
    if (keep) std::copy(scratch.sums.begin(), scratch.sums.end(), z);
    if (l + 1 == states_.size()) {
      scratch.outputs.resize(out);
      for (size_t unit = 0; unit < out; ++unit) {
        scratch.outputs[unit] = net_.Output(layer, scratch.sums[unit], layer.biases[unit]);
      }
      return LossOf(scratch.outputs, labels_[e], keep && !exponentials_.empty() ? &exponentials_[e * out] : nullptr);
    }
    scratch.next.clear();
    for (size_t unit = 0; unit < out; ++unit) {
      const int32_t after =
          layer.codes[static_cast<size_t>(layer.biases[unit])][static_cast<size_t>(scratch.sums[unit] + layer.bound)];
      int16_t& code = state.codes[e * out + unit];
      if (after == code) continue;
      scratch.next.push_back({static_cast<int64_t>(unit), after - code});
      if (keep) code = static_cast<int16_t>(after);
    }
    if (scratch.next.empty()) return losses_[e];
    std::swap(scratch.changes, scratch.next);
  }
  return losses_[e];
}

void IncrementalLoss::Set(const Coordinate& at, int choice) {
  const auto l = static_cast<size_t>(at.layer);
  const DiscreteMlp::Units& layer = net_.layers()[l];
  State& state = states_[l];
  const int32_t difference = Difference(at, choice), bias = BiasOf(at, choice);
  const int32_t bias_before = layer.biases[static_cast<size_t>(at.unit)];
  const bool last = l + 1 == states_.size();
  std::atomic<int64_t> total = 0;
  ParallelFor(threads_, Reached(at), kCostlyPiece, [&](int64_t begin, int64_t end) {
    Scratch scratch;
    int64_t sum = 0;
    ForPiece(at, begin, end, [&](int64_t e, int32_t code) {
      const auto place = static_cast<size_t>(state.At(at.unit, e));
      int32_t& z = state.sums[place];
      const int32_t before = z;
      z += difference * code;
      int64_t& loss = losses_[static_cast<size_t>(e)];
      const int64_t loss_before = loss;
      const int32_t label = labels_[static_cast<size_t>(e)];
      if (!last) {
        const int16_t after = layer.codes[static_cast<size_t>(bias)][static_cast<size_t>(z + layer.bound)];
        if (after == state.codes[place]) return;
        scratch.changes.assign(1, {at.unit, after - state.codes[place]});
        state.codes[place] = after;
        loss = Behind(l + 1, e, /*keep=*/true, scratch);
      } else if (exponentials_.empty()) {
        loss += Term(net_.Output(layer, z, bias), label == at.unit) -
                Term(net_.Output(layer, before, bias_before), label == at.unit);
      } else {
        double* const exponentials = &exponentials_[static_cast<size_t>(e * classes_)];
        const float y = net_.Output(layer, z, bias);
        exponentials[at.unit] = Exponential(y);
        const float label_logit = label == at.unit
                                      ? y
                                      : net_.Output(layer, state.sums[static_cast<size_t>(state.At(label, e))],
                                                    layer.biases[static_cast<size_t>(label)]);
        loss = LogLoss(exponentials, at.unit, exponentials[at.unit], label_logit);
      }
      sum += loss - loss_before;
    });
    total += sum;
  });
  total_ += total;
  net_.Set(at, choice);
}

}  // namespace bitgrad
