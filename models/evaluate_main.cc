// //models:evaluate: a checkpoint's test error, of a model of text its perplexity or bits per character, by the graph
// and by its packed model, and how far the two differ.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/export/evaluate_packed_text.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/data_options.h"
#include "bitgrad/models/evaluate_text.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(std::string, packed, "",
          "Packed model to compare with, a file or zoo:NAME. Default: the checkpoint, frozen in memory.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");
ABSL_FLAG(std::string, device, "cpu", "Where the graph and the packed model run: cpu or cuda.");

namespace bitgrad {
namespace {

int64_t ArgMax(absl::Span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

absl::StatusOr<std::unique_ptr<PackedModel>> OpenPacked(const Checkpoint& checkpoint, ExecContext& context) {
  if (const std::string path = absl::GetFlag(FLAGS_packed); !path.empty()) {
    return OpenModel(path);
  }
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, FreezeCheckpoint(context, checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  return PackedModel::FromBytes("the frozen checkpoint", bytes);
}

// That the model can be used with the data. Where the data is not what the run was tested on, which may be meant, that
// is said.
absl::Status CheckData(const Checkpoint& checkpoint, const Dataset& test) {
  const checkpoint::Header& header = checkpoint.header();
  const std::vector<std::string> names(header.class_names().begin(), header.class_names().end());
  BITGRAD_RETURN_IF_ERROR(CheckKindOfData(absl::StrCat("checkpoint '", checkpoint.path(), "'"), ImageShapeOf(header),
                                          header.classes(), names, test));
  if (!header.has_test_data()) return absl::OkStatus();
  BITGRAD_ASSIGN_OR_RETURN(const fingerprint::DataSet found, FingerprintOf(test));
  if (const std::string difference = DifferenceOf(header.test_data(), found); !difference.empty()) {
    absl::PrintF("note: this is not the test data of the checkpoint's run: %s\n", difference);
  }
  return absl::OkStatus();
}

absl::Status EvaluateCheckpointOfText(const Checkpoint& checkpoint, const PackedModel& packed, ExecContext& context) {
  BITGRAD_ASSIGN_OR_RETURN(const Text text, LoadTestText(checkpoint, ResolvePath(absl::GetFlag(FLAGS_data_dir))));
  BITGRAD_ASSIGN_OR_RETURN(const TextComparison result, CompareOnText(context, checkpoint, packed, text));
  const MetricDisplay display =
      UnitOf(checkpoint.header()) == TextUnit::kWords ? MetricDisplay::kPerplexity : MetricDisplay::kBitsPerCharacter;
  absl::PrintF("evaluate: tokens=%d %s %s disagreements=%d max_logit_difference=%g\n", result.tokens,
               FormatAs("graph", display, result.graph_nats), FormatAs("packed", display, result.packed_nats),
               result.disagreements, result.max_logit_difference);
  return absl::OkStatus();
}

absl::Status Evaluate() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  if (const int threads = absl::GetFlag(FLAGS_threads); threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  const recipe::Recipe& recipe = checkpoint.header().recipe();
  ExecContext context({.threads = absl::GetFlag(FLAGS_threads)});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads()));
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  ExecContext device_context({.device = device, .threads = absl::GetFlag(FLAGS_threads)});
  BITGRAD_ASSIGN_OR_RETURN(const auto packed, OpenPacked(checkpoint, context));
  if (checkpoint.header().text() != checkpoint::NO_TEXT) {
    return EvaluateCheckpointOfText(checkpoint, *packed, device_context);
  }
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(*packed, device_context));
  LoadOptions load = LoadOptionsOf(recipe.data());
  load.data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir));
  load.split = Split::kTest;
  load.threads = context.threads();
  BITGRAD_ASSIGN_OR_RETURN(const Dataset test, LoadDataset(recipe.data().name(), load));
  BITGRAD_RETURN_IF_ERROR(CheckData(checkpoint, test));
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  MoveToDevice(device_context, *bundle.store);
  bundle.model->AnswerAsFrozen(true);
  BITGRAD_ASSIGN_OR_RETURN(auto preprocessing, LoadPreprocessing(checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(
      const BatchLoader loader,
      BatchLoader::Create(test, AllExamples(test), {.batch_size = 500, .preprocessing = std::move(preprocessing)}));

  int64_t graph_errors = 0, packed_errors = 0, disagreements = 0;
  double max_difference = 0;
  std::vector<uint8_t> buffer;
  EpochBatches batches = loader.Epoch(0);
  for (const Batch& batch : batches) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, Logits(device_context, *bundle.model, batch.images));
    const Tensor graph = ToHost(device_context, logits);
    BITGRAD_RETURN_IF_ERROR(device_context.status());
    const int64_t first = batch.index * 500;
    BITGRAD_ASSIGN_OR_RETURN(const auto pixels, test.Pixels({first, first + batch.size()}, context.threads(), buffer));
    // A model that takes no pixels takes what the graph takes.
    BITGRAD_ASSIGN_OR_RETURN(const Tensor frozen, packed->header().input().has_pixels()
                                                      ? interpreter->RunPixels(pixels)
                                                      : interpreter->Run(batch.images.matrix<float>()));
    if (frozen.shape() != graph.shape()) {
      return absl::FailedPreconditionError(absl::StrCat("packed model '", packed->name(), "' gives ",
                                                        frozen.shape().ToString(), " where the checkpoint's gives ",
                                                        graph.shape().ToString(), "; freeze this checkpoint again"));
    }
    BITGRAD_ASSIGN_OR_RETURN(const int64_t graph_wrong, CountWrong(context, graph, batch.labels));
    BITGRAD_ASSIGN_OR_RETURN(const int64_t packed_wrong, CountWrong(context, frozen, batch.labels));
    graph_errors += graph_wrong;
    packed_errors += packed_wrong;
    const int64_t classes = graph.shape().cols();
    for (int64_t i = 0; i < batch.size(); ++i) {
      const auto a = graph.span<float>().subspan(i * classes, classes);
      const auto b = frozen.span<float>().subspan(i * classes, classes);
      disagreements += ArgMax(a) != ArgMax(b);
      for (int64_t j = 0; j < classes; ++j) {
        max_difference = std::max(max_difference, LogitDifference(a[j], b[j]));
      }
    }
  }
  BITGRAD_RETURN_IF_ERROR(batches.status());
  const double images = static_cast<double>(test.size());
  absl::PrintF(
      "evaluate: images=%d graph_error=%.2f%% packed_error=%.2f%% disagreements=%d "
      "max_logit_difference=%g\n",
      test.size(), 100.0 * graph_errors / images, 100.0 * packed_errors / images, disagreements, max_difference);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Evaluates a checkpoint on its test set, by the graph and by its packed model.",
                           .more_help = bitgrad::ZooHelp},
                          [] { return bitgrad::Evaluate(); });
}
