#include "bitgrad/models/training/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/classification.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/util/json_util.h"

namespace bitgrad {
namespace {

// How every line of metrics begins.
constexpr absl::string_view kLineBegin = "{\"epoch\":";

// The one of this layer, which is added where there is none.
template <typename Layers>
auto& OfLayer(absl::string_view layer, Layers& layers) {
  for (auto& known : layers) {
    if (known.layer() == layer) return known;
  }
  auto& added = *layers.Add();
  added.set_layer(std::string(layer));
  return added;
}

std::string Format(const checkpoint::ModelValue& value) {
  switch (value.display()) {
    case checkpoint::ModelValue::SHARE: return absl::StrFormat("%s=%.2f%%", value.name(), 100 * value.value());
    case checkpoint::ModelValue::YES_NO: return absl::StrCat(value.name(), value.value() != 0 ? "=yes" : "=no");
    default: break;
  }
  // Whole numbers, such as counts, keep all their digits.
  const bool is_whole = value.value() == std::floor(value.value()) && std::fabs(value.value()) < 1e15;
  return absl::StrFormat(is_whole ? "%s=%.0f" : "%s=%.4g", value.name(), value.value());
}

checkpoint::ModelValue::Display ToProto(ValueDisplay display) {
  switch (display) {
    case ValueDisplay::kShare: return checkpoint::ModelValue::SHARE;
    case ValueDisplay::kYesNo: return checkpoint::ModelValue::YES_NO;
    case ValueDisplay::kNumber: break;
  }
  return checkpoint::ModelValue::NUMBER;
}

// Protobuf writes numbers that are not finite as the texts "NaN", "Infinity" and "-Infinity", which readers of numbers
// stumble over. Only fields of numbers are changed, not a layer of such a name.
void NullsForNotFinite(const google::protobuf::Descriptor& message, std::string& json) {
  for (int i = 0; i < message.field_count(); ++i) {
    if (message.field(i)->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_DOUBLE) continue;
    const std::string name = absl::StrCat("\"", message.field(i)->name(), "\":");
    for (const char* text : {"\"NaN\"", "\"Infinity\"", "\"-Infinity\""}) {
      absl::StrReplaceAll({{name + text, name + "null"}}, &json);
    }
  }
}

absl::StatusOr<std::string> JsonLine(checkpoint::EpochMetrics metrics, MetricDisplay display) {
  metrics.set_train_error(Shown(display, metrics.train_error()));
  metrics.set_valid_error(Shown(display, metrics.valid_error()));
  metrics.set_test_error(Shown(display, metrics.test_error()));
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(metrics, &json, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  // Of models that tell nothing, and of runs that count nothing.
  absl::StrReplaceAll({{",\"values\":[]", ""}, {",\"arithmetic\":[]", ""}}, &json);
  NullsForNotFinite(*checkpoint::EpochMetrics::descriptor(), json);
  NullsForNotFinite(*checkpoint::LayerMetrics::descriptor(), json);
  NullsForNotFinite(*checkpoint::ModelValue::descriptor(), json);
  // No text within quotes ends with a quote and a colon.
  for (const char* which : {"\"train_", "\"valid_", "\"test_"}) {
    absl::StrReplaceAll({{absl::StrCat(which, "error\":"), absl::StrCat(which, KeyOf(display), "\":")}}, &json);
  }
  return json + "\n";
}

}  // namespace

void AddStep(const StepResult& step, const ParameterStore& store, checkpoint::PartialSums& sums) {
  const int64_t count = step.metrics.empty() ? step.examples : step.metrics[0].count;
  const auto examples = static_cast<double>(count);
  sums.set_loss_sum(sums.loss_sum() + double{step.loss} * examples);
  if (step.penalty.has_value()) sums.set_penalty_sum(sums.penalty_sum() + double{*step.penalty} * examples);
  if (!step.metrics.empty() && step.metrics[0].name != kErrors) {
    sums.set_metric_sum(sums.metric_sum() + step.metrics[0].sum);
  }
  sums.set_errors(sums.errors() + static_cast<int64_t>(step.SumOf(kErrors)));
  sums.set_examples(sums.examples() + count);
  sums.set_steps(sums.steps() + 1);
  for (const Parameter* parameter : store.parameters()) {
    if (!parameter->is_quantized()) continue;
    absl::string_view layer = parameter->name;
    absl::ConsumeSuffix(&layer, "/weight");
    checkpoint::LayerSums& layer_sums = OfLayer(layer, *sums.mutable_layers());
    layer_sums.set_sign_flips(layer_sums.sign_flips() + parameter->sign_flips);
    layer_sums.set_weights(layer_sums.weights() + parameter->value.num_elements());
    layer_sums.set_at_clip(parameter->at_clip);
    layer_sums.set_weight_count(parameter->value.num_elements());
  }
  for (const CounterValue& seen : step.counters) {
    if (seen.name != "window") continue;
    checkpoint::LayerSums& layer_sums = OfLayer(seen.layer, *sums.mutable_layers());
    layer_sums.set_inside_window(layer_sums.inside_window() + seen.count);
    layer_sums.set_activations(layer_sums.activations() + seen.total);
  }
}

checkpoint::EpochMetrics Summarize(const checkpoint::PartialSums& sums) {
  checkpoint::EpochMetrics metrics;
  const double examples = static_cast<double>(std::max<int64_t>(1, sums.examples()));
  metrics.set_loss(sums.loss_sum() / examples);
  if (sums.has_penalty_sum()) metrics.set_penalty(sums.penalty_sum() / examples);
  metrics.set_train_error((sums.has_metric_sum() ? sums.metric_sum() : static_cast<double>(sums.errors())) / examples);
  metrics.set_seconds(sums.seconds());
  metrics.set_examples_per_second(sums.seconds() > 0 ? examples / sums.seconds() : 0);
  for (const checkpoint::LayerSums& layer : sums.layers()) {
    checkpoint::LayerMetrics& out = *metrics.add_layers();
    out.set_layer(layer.layer());
    if (layer.weights() > 0) {
      out.set_sign_flips(static_cast<double>(layer.sign_flips()) / static_cast<double>(layer.weights()));
      out.set_at_clip(static_cast<double>(layer.at_clip()) / static_cast<double>(layer.weight_count()));
    }
    if (layer.activations() > 0) {
      out.set_inside_window(static_cast<double>(layer.inside_window()) / static_cast<double>(layer.activations()));
    }
  }
  return metrics;
}

void AddValues(const std::vector<ModelValue>& values, checkpoint::EpochMetrics& metrics) {
  for (const ModelValue& value : values) {
    checkpoint::ModelValue& added =
        *(value.layer.empty() ? metrics.add_values() : OfLayer(value.layer, *metrics.mutable_layers()).add_values());
    added.set_name(value.name);
    added.set_value(value.value);
    if (value.display != ValueDisplay::kNumber) added.set_display(ToProto(value.display));
  }
}

void AddArithmetic(absl::Span<const LayerArithmetic> layers, checkpoint::EpochMetrics& metrics) {
  const auto set = [](const ArithmeticCounts& counts, checkpoint::ArithmeticCounts& message) {
    message.set_float_multiplications(static_cast<double>(counts.float_multiplications));
    message.set_float_additions(static_cast<double>(counts.float_additions));
    message.set_integer_multiplications(static_cast<double>(counts.integer_multiplications));
    message.set_integer_additions(static_cast<double>(counts.integer_additions));
    message.set_shifts(static_cast<double>(counts.shifts));
    message.set_xnor_popcounts(static_cast<double>(counts.xnor_popcounts));
    message.set_square_roots(static_cast<double>(counts.square_roots));
  };
  for (const LayerArithmetic& layer : layers) {
    checkpoint::LayerArithmetic& message = *metrics.add_arithmetic();
    message.set_layer(layer.layer);
    set(layer.forward, *message.mutable_forward());
    set(layer.backward, *message.mutable_backward());
    set(layer.update, *message.mutable_update());
  }
}

std::string FormatValues(const checkpoint::EpochMetrics& metrics) {
  std::string text;
  for (const checkpoint::ModelValue& value : metrics.values()) absl::StrAppend(&text, " ", Format(value));
  return text;
}

std::string FormatFinal(const checkpoint::EpochMetrics& metrics, MetricDisplay display) {
  return absl::StrCat(FormatAs("train", display, metrics.train_error()), " ",
                      FormatAs("valid", display, metrics.valid_error()), " ",
                      FormatAs("test", display, metrics.test_error()));
}

std::string FormatEpoch(const checkpoint::EpochMetrics& metrics, int epochs, MetricDisplay display) {
  const std::string penalty =
      metrics.has_penalty() ? absl::StrFormat("  of it penalty %.5f", metrics.penalty()) : std::string();
  const std::string values = metrics.values().empty() ? "" : absl::StrCat(" ", FormatValues(metrics));
  std::string text = absl::StrFormat(
      "epoch %d/%d  loss %.5f%s  lr %.3g  %s: train %s valid %s test %s%s  %.1f s, %.0f %s/s\n", metrics.epoch(),
      epochs, metrics.loss(), penalty, metrics.learning_rate(), KeyOf(display), Format(display, metrics.train_error()),
      Format(display, metrics.valid_error()), Format(display, metrics.test_error()), values, metrics.seconds(),
      metrics.examples_per_second(), ExamplesOf(display));
  for (const checkpoint::LayerMetrics& layer : metrics.layers()) {
    absl::StrAppendFormat(&text, "    %-10s", layer.layer());
    if (layer.has_sign_flips()) {
      absl::StrAppendFormat(&text, "  signs flipped per step %.3f%%  latent weights at the clip %.1f%%",
                            100 * layer.sign_flips(), 100 * layer.at_clip());
    }
    if (layer.has_inside_window()) {
      absl::StrAppendFormat(&text, "  activations in the window %.1f%%", 100 * layer.inside_window());
    }
    for (const checkpoint::ModelValue& value : layer.values()) absl::StrAppend(&text, "  ", Format(value));
    text += "\n";
  }
  return text;
}

absl::Status MetricsFile::Write(const char* mode, absl::string_view text) {
  std::FILE* file = std::fopen(path_.c_str(), mode);
  if (file == nullptr) return FileError("write metrics to", path_, errno);
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  int error = written ? 0 : errno;
  if (std::fclose(file) != 0 && error == 0) error = errno;
  return error == 0 ? absl::OkStatus() : FileError("write metrics to", path_, error);
}

absl::Status MetricsFile::CheckReplaceable() const {
  // Pipes and devices take what they are given. A file that cannot be opened is for Begin() to report.
  std::error_code error;
  if (path_.empty() || !std::filesystem::is_regular_file(path_, error)) return absl::OkStatus();
  std::FILE* file = std::fopen(path_.c_str(), "r");
  if (file == nullptr) return absl::OkStatus();
  char beginning[kLineBegin.size()];
  const size_t size = std::fread(beginning, 1, sizeof(beginning), file);
  std::fclose(file);
  if (size == 0 || absl::string_view(beginning, size) == kLineBegin) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("cannot write metrics to '", path_, "', a file of another kind, ",
                                                    "which would be lost; choose another --metrics=FILE"));
}

absl::Status MetricsFile::Begin(const google::protobuf::RepeatedPtrField<checkpoint::EpochMetrics>& epochs) {
  if (path_.empty()) return absl::OkStatus();
  BITGRAD_RETURN_IF_ERROR(CheckReplaceable());
  std::string text;
  for (const checkpoint::EpochMetrics& metrics : epochs) {
    const absl::StatusOr<std::string> line = JsonLine(metrics, display_);
    if (!line.ok()) return line.status();
    text += *line;
  }
  return Write("w", text);
}

absl::Status MetricsFile::Append(const checkpoint::EpochMetrics& metrics) {
  if (path_.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> line = JsonLine(metrics, display_);
  return line.ok() ? Write("a", *line) : line.status();
}

}  // namespace bitgrad
