// How people are shown the mean of a task's first metric: where a training or an evaluation says how good a model is.

#ifndef BITGRAD_MODELS_TRAINING_METRIC_DISPLAY_H_
#define BITGRAD_MODELS_TRAINING_METRIC_DISPLAY_H_

#include <cmath>
#include <string>

#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

enum class MetricDisplay {
  kErrorPercent,      // of a share of wrong answers
  kPerplexity,        // of nats per word
  kBitsPerCharacter,  // of nats per character
};

// What it is called where programs read it, behind "train_", "valid_" and "test_".
constexpr const char* KeyOf(MetricDisplay display) {
  switch (display) {
    case MetricDisplay::kPerplexity: return "perplexity";
    case MetricDisplay::kBitsPerCharacter: return "bpc";
    case MetricDisplay::kErrorPercent: break;
  }
  return "error";
}

// What is counted in a second.
constexpr const char* ExamplesOf(MetricDisplay display) {
  switch (display) {
    case MetricDisplay::kPerplexity: return "tokens";
    case MetricDisplay::kBitsPerCharacter: return "characters";
    case MetricDisplay::kErrorPercent: break;
  }
  return "examples";
}

// The number: exp of nats, nats / ln 2; a share stays one.
inline double Shown(MetricDisplay display, double mean) {
  switch (display) {
    case MetricDisplay::kPerplexity: return std::exp(mean);
    case MetricDisplay::kBitsPerCharacter: return mean / std::log(2.0);
    case MetricDisplay::kErrorPercent: break;
  }
  return mean;
}

// The text: "5.12%", "123.46", "1.6234".
inline std::string Format(MetricDisplay display, double mean) {
  switch (display) {
    case MetricDisplay::kPerplexity: return absl::StrFormat("%.2f", Shown(display, mean));
    case MetricDisplay::kBitsPerCharacter: return absl::StrFormat("%.4f", Shown(display, mean));
    case MetricDisplay::kErrorPercent: break;
  }
  return absl::StrFormat("%.2f%%", 100 * mean);
}

// "train_error=5.12%", "test_perplexity=123.46".
inline std::string FormatAs(absl::string_view which, MetricDisplay display, double mean) {
  return absl::StrFormat("%s_%s=%s", which, KeyOf(display), Format(display, mean));
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_METRIC_DISPLAY_H_
