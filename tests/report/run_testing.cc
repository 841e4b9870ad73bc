#include "bitgrad/tests/report/run_testing.h"

#include <cmath>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

diagnostics::Picture PictureOf(int32_t height, int32_t width, int32_t channels) {
  diagnostics::Picture picture;
  picture.set_height(height);
  picture.set_width(width);
  picture.set_channels(channels);
  for (int32_t i = 0; i < height * width * channels; ++i) picture.mutable_pixels()->push_back(static_cast<char>(i * 7));
  return picture;
}

void AddPart(const std::string& layer, const std::string& op, diagnostics::Part::Phase phase,
             diagnostics::Epoch& epoch) {
  diagnostics::Part& part = *epoch.add_parts();
  part.set_layer(layer);
  part.set_op(op);
  part.set_phase(phase);
  part.set_seconds(1e-3 * (epoch.parts_size() + 1));
  part.set_held_bytes(phase == diagnostics::Part::BACKWARD ? -200000 : 300000);
}

checkpoint::EpochMetrics MetricsOf(const MadeUpRun& options, int epoch) {
  checkpoint::EpochMetrics metrics;
  metrics.set_epoch(epoch);
  metrics.set_loss(1.0 / epoch);
  metrics.set_penalty(0.1 / epoch);
  metrics.set_learning_rate(3e-3 * std::pow(0.5, epoch));
  metrics.set_train_error(0.3 / epoch);
  metrics.set_valid_error(0.32 / epoch);
  metrics.set_test_error(0.33 / epoch);
  metrics.set_seconds(2.5);
  checkpoint::ModelValue& value = *metrics.add_values();
  value.set_name("average_weight_bits");
  value.set_value(4 - 0.1 * epoch);
  for (const std::string& name : options.layers) {
    checkpoint::LayerMetrics& layer = *metrics.add_layers();
    layer.set_layer(name);
    layer.set_sign_flips(0.01 / epoch);
    layer.set_at_clip(0.05 * epoch / options.epochs);
    layer.set_inside_window(0.6);
    checkpoint::ModelValue& bits = *layer.add_values();
    bits.set_name("weight_bits");
    bits.set_value(4 - 0.2 * epoch);
  }
  return metrics;
}

diagnostics::Epoch DiagnosticsOf(const MadeUpRun& options, int number) {
  diagnostics::Epoch epoch;
  epoch.set_epoch(number);
  for (const std::string& name : options.layers) {
    diagnostics::Layer& layer = *epoch.add_layers();
    layer.set_layer(name);
    layer.mutable_weights()->set_low(-1);
    layer.mutable_weights()->set_high(1);
    for (int bin = 0; bin < 40; ++bin) layer.mutable_weights()->add_counts(bin % 10 * number);
    layer.set_flipped_back(0.2);
    layer.set_gradient_norm(0.5 / number);
    layer.set_channels(128);
    layer.set_constant_channels(0.25);
    layer.set_dead_channels(0.125);
    AddPart(name, "Linear", diagnostics::Part::FORWARD, epoch);
    AddPart(name, "Linear", diagnostics::Part::BACKWARD, epoch);
  }
  AddPart("", "", diagnostics::Part::UPDATE, epoch);
  epoch.set_step_seconds(0.05);
  epoch.set_step_bytes(3000000);
  for (int i = 0; i < options.classes * options.classes; ++i) {
    epoch.add_confusion(i % (options.classes + 1) == 0 ? 100 : i % 3);
  }
  return epoch;
}

}  // namespace

RunRecord MakeUp(const MadeUpRun& options) {
  RunRecord run = {.folder = "/runs/made_up"};
  recipe::Recipe& recipe = *run.header.mutable_recipe();
  recipe.set_name("made_up");
  recipe.set_description("A run that was never trained");
  recipe.mutable_data()->set_name("digits");
  recipe.mutable_data()->set_validation_examples(1000);
  recipe.set_epochs(options.epochs);
  run.header.set_classes(options.classes);
  for (int i = 0; i < options.classes; ++i) run.header.add_class_names(absl::StrCat("class ", i));
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    *run.header.add_epochs() = MetricsOf(options, epoch);
    run.diagnostics.push_back(DiagnosticsOf(options, epoch));
  }
  run.header.mutable_progress()->set_epoch(options.epochs);
  run.header.mutable_progress()->set_best_epoch(options.epochs);
  if (options.epochs == 0) return run;
  diagnostics::Latest& latest = run.latest;
  latest.set_epoch(options.epochs);
  latest.mutable_machine()->set_version("0.2.0");
  latest.mutable_machine()->set_processor("A processor");
  latest.mutable_machine()->set_cores(8);
  latest.mutable_machine()->set_threads(4);
  latest.mutable_machine()->set_device("cpu");
  diagnostics::Command& command = *latest.add_commands();
  command.set_purpose("continue training");
  command.set_command("train --resume --out='/runs/made up'");
  for (int i = 0; i < 5; ++i) {
    diagnostics::Mistake& mistake = *latest.add_mistakes();
    mistake.set_example(i);
    mistake.set_label(i % options.classes);
    mistake.set_answer((i + 1) % options.classes);
    mistake.set_answer_share(0.9);
    mistake.set_label_share(0.01);
    *mistake.mutable_picture() = PictureOf(28, 28, i % 2 == 0 ? 1 : 3);
    *latest.add_filters() = PictureOf(5, 5, 1);
  }
  return run;
}

}  // namespace bitgrad
