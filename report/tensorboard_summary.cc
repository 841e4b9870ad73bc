#include "bitgrad/report/tensorboard_summary.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/check.h"
#include "bitgrad/report/png.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using diagnostics::Picture;
using tensorboard::Summary;

void AddScalar(absl::string_view tag, double value, Summary& summary) {
  if (std::isnan(value)) return;
  Summary::Value& added = *summary.add_value();
  added.set_tag(std::string(tag));
  added.set_simple_value(static_cast<float>(value));
}

void AddPicture(absl::string_view tag, const Picture& picture, Summary& summary) {
  Summary::Value& added = *summary.add_value();
  added.set_tag(std::string(tag));
  Summary::Image& image = *added.mutable_image();
  image.set_height(picture.height());
  image.set_width(picture.width());
  image.set_colorspace(picture.channels());
  image.set_encoded_image_string(EncodePng(picture));
}

// `markdown` is shown as such.
void AddText(absl::string_view tag, absl::string_view markdown, Summary& summary) {
  Summary::Value& added = *summary.add_value();
  added.set_tag(std::string(tag));
  added.mutable_metadata()->mutable_plugin_data()->set_plugin_name("text");
  added.mutable_metadata()->set_data_class(tensorboard::DATA_CLASS_TENSOR);
  added.mutable_tensor()->set_dtype(tensorboard::DT_STRING);
  added.mutable_tensor()->mutable_tensor_shape();  // A single text.
  added.mutable_tensor()->add_string_val(std::string(markdown));
}

// As Markdown shows it letter by letter: with four spaces before each line.
std::string Verbatim(absl::string_view text) {
  return absl::StrCat("    ", absl::StrReplaceAll(text, {{"\n", "\n    "}}));
}

// As a cell of a table.
std::string Cell(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"\\", "\\\\"}, {"|", "\\|"}, {"\n", " "}, {"*", "\\*"}, {"_", "\\_"}, {"<", "&lt;"}});
}

std::string ClassName(const RunRecord& run, int label) {
  if (label < 0 || label >= run.header.class_names_size()) return absl::StrCat(label);
  return Cell(run.header.class_names(label));
}

void AddMistakes(const RunRecord& run, Summary& summary) {
  if (run.latest.mistakes().empty()) return;
  google::protobuf::RepeatedPtrField<Picture> pictures;
  std::string table =
      "| | example | right | answer | its share | share of the right one |\n|---|---|---|---|---|---|\n";
  int place = 0;
  for (const diagnostics::Mistake& mistake : run.latest.mistakes()) {
    if (mistake.has_picture()) *pictures.Add() = mistake.picture();
    absl::StrAppendFormat(&table, "| %d | %d | %s | %s | %.1f%% | %.2g%% |\n", ++place, mistake.example(),
                          ClassName(run, mistake.label()), ClassName(run, mistake.answer()),
                          100 * mistake.answer_share(), 100 * mistake.label_share());
  }
  if (!pictures.empty()) AddPicture("mistakes/pictures", ContactSheet(pictures), summary);
  AddText("mistakes/answers", table, summary);
}

}  // namespace

void AddMetrics(const checkpoint::EpochMetrics& metrics, const checkpoint::EpochMetrics* best, MetricDisplay display,
                Summary& summary) {
  const auto shown = [&](absl::string_view tag, double mean) { AddScalar(tag, Shown(display, mean), summary); };
  const std::string key = KeyOf(display);
  AddScalar(kLossTag, metrics.loss(), summary);
  if (metrics.has_penalty()) AddScalar("train/penalty", metrics.penalty(), summary);
  AddScalar("train/learning_rate", metrics.learning_rate(), summary);
  AddScalar("train/seconds", metrics.seconds(), summary);
  AddScalar(absl::StrCat("train/", ExamplesOf(display), "_per_second"), metrics.examples_per_second(), summary);
  shown(key + "/train", metrics.train_error());
  shown(key + "/valid", metrics.valid_error());
  shown(key + "/test", metrics.test_error());
  if (best != nullptr) {
    AddScalar("best/epoch", best->epoch(), summary);
    shown(absl::StrCat("best/valid_", key), best->valid_error());
    shown(absl::StrCat("best/test_", key), best->test_error());
  }
  for (const checkpoint::ModelValue& value : metrics.values()) {
    AddScalar(absl::StrCat("model/", value.name()), value.value(), summary);
  }
  for (const checkpoint::LayerMetrics& layer : metrics.layers()) {
    if (layer.has_sign_flips()) AddScalar("sign_flips/" + layer.layer(), layer.sign_flips(), summary);
    if (layer.has_at_clip()) AddScalar("weights_at_clip/" + layer.layer(), layer.at_clip(), summary);
    if (layer.has_inside_window()) AddScalar("inside_window/" + layer.layer(), layer.inside_window(), summary);
    for (const checkpoint::ModelValue& value : layer.values()) {
      AddScalar(absl::StrCat(value.name(), "/", layer.layer()), value.value(), summary);
    }
  }
}

void AddDiagnostics(const diagnostics::Epoch& epoch, Summary& summary) {
  for (const diagnostics::Layer& layer : epoch.layers()) {
    const std::string& name = layer.layer();
    if (layer.has_flipped_back()) AddScalar("flipped_back/" + name, layer.flipped_back(), summary);
    if (layer.has_gradient_norm()) AddScalar("gradient_norm/" + name, layer.gradient_norm(), summary);
    if (layer.has_constant_channels()) AddScalar("constant_channels/" + name, layer.constant_channels(), summary);
    if (layer.has_dead_channels()) AddScalar("dead_channels/" + name, layer.dead_channels(), summary);
    const auto& counts = layer.weights().counts();
    if (std::none_of(counts.begin(), counts.end(), [](int64_t count) { return count > 0; })) continue;
    Summary::Value& added = *summary.add_value();
    added.set_tag("weights/" + name);
    *added.mutable_histo() = ToHistogramProto(layer.weights());
  }
  if (epoch.step_seconds() > 0) AddScalar("step/seconds", epoch.step_seconds(), summary);
  if (epoch.step_bytes() > 0) AddScalar("step/bytes", static_cast<double>(epoch.step_bytes()), summary);
}

void AddLatest(const RunRecord& run, Summary& summary) {
  AddMistakes(run, summary);
  if (!run.latest.filters().empty()) {
    AddPicture("filters/first_layer", ContactSheet(run.latest.filters()), summary);
  }
  if (run.latest.has_machine()) {
    const diagnostics::Machine& machine = run.latest.machine();
    AddText("machine",
            absl::StrCat("| | |\n|---|---|\n| bitgrad | ", Cell(machine.version()), " |\n| device | ",
                         Cell(machine.device()), " |\n| processor | ", Cell(machine.processor()), " |\n| cores | ",
                         machine.cores(), " |\n| threads | ", machine.threads(), " |\n"),
            summary);
  }
  std::string samples;
  for (const diagnostics::Sample& sample : run.latest.samples()) {
    absl::StrAppend(&samples, samples.empty() ? "" : "\n\n---\n\n", Verbatim(sample.prompt() + sample.text()));
  }
  if (!samples.empty()) AddText("samples", samples, summary);
}

void AddRecipe(const recipe::Recipe& recipe, Summary& summary) {
  std::string text;
  BITGRAD_CHECK(google::protobuf::TextFormat::PrintToString(recipe, &text));
  AddText("recipe", Verbatim(text), summary);
}

tensorboard::HistogramProto ToHistogramProto(const diagnostics::Histogram& histogram) {
  const auto& counts = histogram.counts();
  const auto is_filled = [](int64_t count) { return count > 0; };
  const auto first = std::find_if(counts.begin(), counts.end(), is_filled);
  BITGRAD_CHECK(first != counts.end());
  auto end = counts.end();
  while (!is_filled(*(end - 1))) --end;
  tensorboard::HistogramProto proto;
  proto.set_min(histogram.least());
  proto.set_max(histogram.most());
  proto.set_sum(histogram.sum());
  proto.set_sum_squares(histogram.sum_of_squares());
  const double width = (histogram.high() - histogram.low()) / counts.size();
  int64_t sum = 0;
  for (auto count = first; count != end; ++count) {
    proto.add_bucket_limit(histogram.low() + width * static_cast<double>(count - counts.begin() + 1));
    proto.add_bucket(static_cast<double>(*count));
    sum += *count;
  }
  proto.set_num(static_cast<double>(sum));
  // Numbers beyond the bins are counted in the outermost ones.
  double& last = *(proto.mutable_bucket_limit()->end() - 1);
  last = std::max(last, histogram.most());
  return proto;
}

Picture ContactSheet(const google::protobuf::RepeatedPtrField<Picture>& pictures) {
  BITGRAD_CHECK(!pictures.empty());
  int height = 0, width = 0, channels = 1;
  for (const Picture& picture : pictures) {
    height = std::max(height, picture.height());
    width = std::max(width, picture.width());
    channels = std::max(channels, picture.channels());
  }
  const int columns = static_cast<int>(std::ceil(std::sqrt(pictures.size())));
  const int rows = (pictures.size() + columns - 1) / columns;
  Picture sheet;
  sheet.set_height(rows * (height + 1) - 1);
  sheet.set_width(columns * (width + 1) - 1);
  sheet.set_channels(channels);
  std::string& pixels = *sheet.mutable_pixels();
  pixels.assign(static_cast<size_t>(sheet.height()) * static_cast<size_t>(sheet.width() * channels), '\x80');
  for (int i = 0; i < pictures.size(); ++i) {
    const Picture& picture = pictures[i];
    BITGRAD_CHECK(picture.channels() == 1 || picture.channels() == channels);
    for (int y = 0; y < picture.height(); ++y) {
      for (int x = 0; x < picture.width(); ++x) {
        for (int c = 0; c < channels; ++c) {
          const int from = (y * picture.width() + x) * picture.channels() + std::min(c, picture.channels() - 1);
          const int to_y = i / columns * (height + 1) + y, to_x = i % columns * (width + 1) + x;
          pixels[static_cast<size_t>((to_y * sheet.width() + to_x) * channels + c)] =
              picture.pixels()[static_cast<size_t>(from)];
        }
      }
    }
  }
  return sheet;
}

}  // namespace bitgrad
