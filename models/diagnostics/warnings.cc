#include "bitgrad/models/diagnostics/warnings.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {
namespace {

enum Rule : size_t {
  kNotLearning,
  kValidationJumps,
  kConstantChannels,
  kSaturatedLatents,
  kEmptyWindow,
  kRestlessSigns,
  kFrozenSigns,
};

// Shares in [0, 1] but where said otherwise.
constexpr WarningRule kRules[] = {
    {"not-learning", 0.95,
     "share of the error of guessing that training still has after its second epoch; every recipe that learns is far "
     "below by then"},
    {"validation-jumps", 1.25,
     "by which factor the validation error grows from one epoch to the next while the training error falls; noise "
     "between epochs of nets that train well is below 1.2"},
    {"constant-channels", 0.25,
     "channels with one value for all examples carry nothing; nets that train well have up to a tenth of them"},
    {"saturated-latents", 0.6,
     "latent weights at the clip: they no longer remember gradients; BinaryConnect and BNN settle below a half"},
    {"empty-window", 0.05,
     "activations inside the window of the straight-through estimator: outside no gradient passes; nets that train "
     "well "
     "have at least a fifth"},
    {"restless-signs", 0.02,
     "signs that change in a step, after the second epoch: the product of a layer is then another one after 50 steps; "
     "nets that train well are below a hundredth by then"},
    {"frozen-signs", 1e-7,
     "signs that change in a step, in the first half of training: at this rate not one weight in a thousand changes in "
     "10,000 steps"},
};

constexpr const char* kTips = "; see docs/training_tips.md#";

std::string Percent(double share) { return absl::StrFormat("%.0f %%", 100 * share); }

class Judge {
 public:
  Judge(const RunRecord& run, int index) : run_(run), index_(index), epoch_(run.header.epochs(index)) {}

  std::vector<RunWarning> Warnings() {
    JudgeErrors();
    for (const checkpoint::LayerMetrics& layer : epoch_.layers()) JudgeLayer(layer);
    for (const diagnostics::Epoch& seen : run_.diagnostics) {
      if (seen.epoch() != epoch_.epoch()) continue;
      for (const diagnostics::Layer& layer : seen.layers()) JudgeChannels(layer);
    }
    return std::move(warnings_);
  }

 private:
  void Warn(Rule rule, const std::string& layer, const std::string& text) {
    warnings_.push_back({.rule = &kRules[rule],
                         .layer = layer,
                         .text = absl::StrCat(layer, layer.empty() ? "" : ": ", text, kTips, kRules[rule].name)});
  }

  void JudgeErrors() {
    const double classes = static_cast<double>(run_.header.classes());
    const double guessing = 1 - 1 / std::max(classes, 1.0);
    if (run_.display == MetricDisplay::kErrorPercent && index_ >= 1 && classes >= 2 &&
        epoch_.train_error() > kRules[kNotLearning].threshold * guessing) {
      Warn(kNotLearning, "",
           absl::StrFormat("after %d epochs the training error is %s, that of guessing is %s: the net does not learn",
                           epoch_.epoch(), Percent(epoch_.train_error()), Percent(guessing)));
    }
    if (index_ == 0) return;
    const checkpoint::EpochMetrics& before = run_.header.epochs(index_ - 1);
    // A net with few errors may double them by chance: two percent of errors more, or a tenth of a nat, are no
    // accident.
    const double least = run_.display == MetricDisplay::kErrorPercent ? 0.02 : 0.1;
    if (epoch_.train_error() < before.train_error() && epoch_.valid_error() > before.valid_error() + least &&
        epoch_.valid_error() > kRules[kValidationJumps].threshold * before.valid_error()) {
      Warn(kValidationJumps, "",
           absl::StrFormat("validation jumps from %s to %s while training falls: running statistics of batch norms lag "
                           "behind weights that change fast; set norm.reestimate_batches, or lower the learning rate",
                           Format(run_.display, before.valid_error()), Format(run_.display, epoch_.valid_error())));
    }
  }

  void JudgeLayer(const checkpoint::LayerMetrics& layer) {
    const std::string& name = layer.layer();
    if (layer.has_at_clip() && layer.at_clip() > kRules[kSaturatedLatents].threshold) {
      Warn(kSaturatedLatents, name,
           absl::StrFormat("latents saturate: %s at the clip; lower the learning rate, or its part that Glorot's scale "
                           "makes (optimizer.glorot_scale)",
                           Percent(layer.at_clip())));
    }
    if (layer.has_inside_window() && layer.inside_window() < kRules[kEmptyWindow].threshold) {
      Warn(kEmptyWindow, name,
           absl::StrFormat("%s of activations lie inside the straight-through estimator's window, so that hardly any "
                           "gradient passes; a batch norm before the quantizer keeps them there",
                           Percent(layer.inside_window())));
    }
    if (!layer.has_sign_flips()) return;
    if (index_ >= 2 && layer.sign_flips() > kRules[kRestlessSigns].threshold) {
      Warn(kRestlessSigns, name,
           absl::StrFormat("%.1f %% of signs change in each step: the rate is too high for binary weights to settle; "
                           "lower it",
                           100 * layer.sign_flips()));
    }
    if (index_ >= 1 && 2 * epoch_.epoch() <= run_.header.recipe().epochs() &&
        layer.sign_flips() < kRules[kFrozenSigns].threshold) {
      Warn(kFrozenSigns, name,
           absl::StrFormat("%.1g %% of signs change in a step: the layer does not learn; raise the learning rate",
                           100 * layer.sign_flips()));
    }
  }

  void JudgeChannels(const diagnostics::Layer& layer) {
    if (index_ == 0 || !layer.has_constant_channels()) return;
    if (layer.constant_channels() <= kRules[kConstantChannels].threshold) return;
    Warn(kConstantChannels, layer.layer(),
         absl::StrFormat("%s of channels are constant: the layer reads as much from fewer; lower the learning rate, or "
                         "make the layer before it narrower",
                         Percent(layer.constant_channels())));
  }

  const RunRecord& run_;
  const int index_;
  const checkpoint::EpochMetrics& epoch_;
  std::vector<RunWarning> warnings_;
};

}  // namespace

absl::Span<const WarningRule> AllWarningRules() { return kRules; }

std::vector<RunWarning> WarningsOf(const RunRecord& run, int index) { return Judge(run, index).Warnings(); }

bool WarningPrinter::IsNew(const RunWarning& warning) { return said_.insert({warning.rule, warning.layer}).second; }

absl::Status WarningPrinter::Begin(const RunRecord& run, std::FILE* /*log*/) {
  for (int i = 0; i < run.header.epochs_size(); ++i) {
    for (const RunWarning& warning : WarningsOf(run, i)) IsNew(warning);
  }
  return absl::OkStatus();
}

absl::Status WarningPrinter::EpochFinished(const RunRecord& run, std::FILE* log) {
  for (const RunWarning& warning : WarningsOf(run, run.header.epochs_size() - 1)) {
    if (IsNew(warning)) absl::FPrintF(log, "warning: %s\n", warning.text);
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
