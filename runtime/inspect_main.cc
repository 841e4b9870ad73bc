// inspect: what is in a packed model, and what it costs to run.

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "", "Packed model file, as freeze writes it, or zoo:NAME.");
ABSL_FLAG(bool, splines, false, "Also print the coefficients of learned splines, which bench/plot.py --splines draws.");

namespace bitgrad {
namespace {

// What a model of tokens, or of time steps, takes, carries and computes.
void PrintSequences(const PackedModel& model, const ModelCost& cost) {
  const packed::Header& header = model.header();
  if (header.input().tokens() > 0) {
    std::printf("takes tokens: %d%s\n", header.input().tokens(),
                header.text() == packed::Header::WORDS        ? " words"
                : header.text() == packed::Header::CHARACTERS ? " characters"
                                                              : "");
  }
  if (model.time_steps() > 0) {
    std::printf("time steps: %lld of %s; instructions marked x%lld run in each, the others in the last one\n",
                static_cast<long long>(model.time_steps()), model.value(0).example.ToString().c_str(),
                static_cast<long long>(model.time_steps()));
  }
  int64_t state = 0;
  for (const packed::StateSlot& slot : header.states()) {
    std::printf("state: %s [%lld]\n", slot.name().c_str(), static_cast<long long>(slot.width()));
    state += slot.width() * static_cast<int64_t>(sizeof(float));
  }
  if (header.input().tokens() == 0) return;
  int64_t bit_macs = 0, integer_macs = 0, float_macs = 0, bytes = 0;
  for (const LayerCost& layer : cost.layers) {
    bit_macs += layer.bit_macs;
    integer_macs += layer.integer_macs;
    float_macs += layer.float_macs;
    bytes += layer.bytes;
  }
  // Of the table of an embedding a token reads a row.
  for (const packed::Instruction& instruction : header.instructions()) {
    if (!instruction.has_embedding()) continue;
    const packed::Blob& table = model.blob(instruction.embedding().table());
    bytes -= table.byte_size() - table.byte_size() / header.input().tokens();
  }
  std::printf("per token: bit_macs=%lld integer_macs=%lld float_macs=%lld bytes_read=%lld state_bytes=%lld\n",
              static_cast<long long>(bit_macs), static_cast<long long>(integer_macs),
              static_cast<long long>(float_macs), static_cast<long long>(bytes), static_cast<long long>(state));
}

// What is known of a model of the zoo beside what is in its file.
absl::Status PrintManifest(absl::string_view name) {
  if (!absl::ConsumePrefix(&name, kZooPrefix)) return absl::OkStatus();
  BITGRAD_ASSIGN_OR_RETURN(const ZooModel* const model, FindZooModel(name));
  BITGRAD_ASSIGN_OR_RETURN(const zoo::Manifest manifest, ManifestOf(*model));
  std::printf("zoo: %s: %s\n", manifest.description().c_str(), FigureOf(manifest).c_str());
  std::printf("data: %s\n", manifest.data().c_str());
  std::printf("trained: %s (%d epochs, seed %llu)\n", TrainingFlags(manifest).c_str(), manifest.epochs(),
              static_cast<unsigned long long>(manifest.seed()));
  return absl::OkStatus();
}

// A line for each channel: its values at the knots from -range to range.
void PrintSplines(const PackedModel& model) {
  for (const packed::Instruction& instruction : model.header().instructions()) {
    if (!instruction.has_spline()) continue;
    const packed::Blob& blob = model.blob(instruction.spline().coefficients());
    const absl::Span<const float> values = model.floats(instruction.spline().coefficients());
    for (int64_t n = 0; n < blob.shape(0); ++n) {
      std::printf(
          "spline: layer=%s channel=%lld range=%g values=%s\n", instruction.layer().c_str(), static_cast<long long>(n),
          static_cast<double>(instruction.spline().range()),
          absl::StrJoin(values.subspan(static_cast<size_t>(n * blob.shape(1)), static_cast<size_t>(blob.shape(1))), ",")
              .c_str());
    }
  }
}

absl::Status Inspect() {
  const std::string path = absl::GetFlag(FLAGS_model);
  if (path.empty()) {
    return absl::InvalidArgumentError(kNoModelGiven);
  }
  BITGRAD_ASSIGN_OR_RETURN(const auto model, OpenModel(path));
  const packed::Header& header = model->header();
  std::printf("%s: '%s', written by %s, input [%s]%s%s\n", path.c_str(), header.name().c_str(),
              header.producer().empty() ? "an unnamed program" : header.producer().c_str(),
              absl::StrJoin(model->input().dims(), ", ").c_str(), header.input().has_pixels() ? " of 8-bit pixels" : "",
              header.data_set().empty() ? "" : (", data set " + header.data_set()).c_str());
  if (header.has_training_data()) std::printf("trained on %s\n", ToString(header.training_data()).c_str());
  if (header.has_test_data()) std::printf("tested on %s\n", ToString(header.test_data()).c_str());
  if (header.class_names_size() > 0) {
    const std::vector<std::string> names(header.class_names().begin(), header.class_names().end());
    std::printf("classes: %s\n", ListOfClassNames(names, header.class_names_size()).c_str());
  }
  BITGRAD_RETURN_IF_ERROR(PrintManifest(path));
  const ModelCost cost = CostOf(*model);
  PrintSequences(*model, cost);
  std::printf("%s", CostTable(*model, cost).c_str());
  if (absl::GetFlag(FLAGS_splines)) PrintSplines(*model);
  std::printf(
      "inspect: parameters=%lld bytes_on_disk=%lld predicted_bytes=%lld float_bytes=%lld "
      "ratio=%.2f float_layers=%lld\n",
      static_cast<long long>(header.parameter_count()), static_cast<long long>(model->byte_size()),
      static_cast<long long>(cost.predicted_bytes), static_cast<long long>(header.float_parameter_bytes()),
      static_cast<double>(header.float_parameter_bytes()) / static_cast<double>(model->byte_size()),
      static_cast<long long>(cost.float_layers));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(
      argc, argv,
      {.usage = "Shows a packed model layer by layer: bytes, bits, arithmetic, and the kernels that run it.",
       .more_help = bitgrad::ZooHelp},
      [] { return bitgrad::Inspect(); });
}
