// predict: runs a packed model over the test images of its data set and counts errors and time, or over the test text
// and measures how well it predicts it; or over one image of the user's.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/data/text_batches.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/generate.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/predict_image.h"
#include "bitgrad/runtime/predict_text.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "", "Packed model file, as freeze writes it, or zoo:NAME.");
ABSL_FLAG(std::string, image, "", "A PNG or JPEG file to look at, in place of the test images.");
ABSL_FLAG(bool, invert, false, "The image of --image has dark strokes on light paper: make them light on black.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");
ABSL_FLAG(int, batch, 100, "Images per batch. A GPU needs thousands to be busy.");
ABSL_FLAG(int, streams, 20, "Pieces of a text that are read side by side, as its evaluation in training reads them.");
ABSL_FLAG(std::string, device, "cpu", "Where the model runs: cpu or cuda.");
ABSL_FLAG(std::string, logits, "", "File for the answers to all images: float32, [images, answers]; empty: none.");

namespace bitgrad {
namespace {

struct Result {
  int64_t errors = 0;
  double seconds = 0;  // without those of decoding images
};

// Wrong answers are counted as evaluate counts them: by the first of the largest logits; one with a NaN is wrong.
// The answers are appended to `logits_file`, if there is one.
absl::StatusOr<Result> Evaluate(Interpreter& interpreter, const Dataset& data, int64_t batch, int threads,
                                AtomicFile* logits_file) {
  ExecContext host({.threads = 1});
  const int32_t* labels = data.labels.data<int32_t>();
  std::vector<uint8_t> buffer;
  Result result;
  for (int64_t begin = 0; begin < data.size(); begin += batch) {
    const int64_t rows = std::min(batch, data.size() - begin);
    BITGRAD_ASSIGN_OR_RETURN(const auto pixels, data.Pixels({begin, begin + rows}, threads, buffer));
    // The first batch is run twice: once to fill buffers and caches, before the clock starts.
    if (begin == 0) BITGRAD_RETURN_IF_ERROR(interpreter.RunPixels(pixels).status());
    const auto start = std::chrono::steady_clock::now();
    BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, interpreter.RunPixels(pixels));
    int64_t errors;
    KernelsFor(Device::kCpu).count_errors(host, logits.matrix<float>(), labels + begin, &errors);
    result.errors += errors;
    result.seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (logits_file != nullptr) {
      const auto* bytes = reinterpret_cast<const char*>(logits.data<float>());
      const size_t size = static_cast<size_t>(logits.num_elements()) * sizeof(float);
      BITGRAD_RETURN_IF_ERROR(logits_file->Append({bytes, size}));
    }
  }
  return result;
}

// The side of the square RGB images that have this many values; 0 if there are none.
int64_t SideOf(int64_t features) {
  const int64_t side = std::lround(std::sqrt(static_cast<double>(features) / 3));
  return 3 * side * side == features ? side : 0;
}

// That the model can be used with the data. Where the data is not what it was tested on after training, which may be
// meant, that is said.
absl::Status CheckFits(const PackedModel& model, const Dataset& data) {
  const packed::Header& header = model.header();
  // A model that does not know its training data knows how many values it takes.
  const ImageShape shape = header.has_training_data() ? ImageShapeOf(header.training_data())
                                                      : ImageShape{1, model.input().num_elements(), 1};
  const std::vector<std::string> names(header.class_names().begin(), header.class_names().end());
  BITGRAD_RETURN_IF_ERROR(
      CheckKindOfData(absl::StrCat("packed model '", model.name(), "'"), shape, header.class_count(), names, data));
  if (!header.has_test_data()) return absl::OkStatus();
  BITGRAD_ASSIGN_OR_RETURN(const fingerprint::DataSet found, FingerprintOf(data));
  if (const std::string difference = DifferenceOf(header.test_data(), found); !difference.empty()) {
    std::printf("note: this is not the data that the model was tested on after training: %s\n", difference.c_str());
  }
  return absl::OkStatus();
}

absl::Status PredictText(const PackedModel& model, ExecContext& context) {
  BITGRAD_ASSIGN_OR_RETURN(const Text text, LoadTestText(model, ResolvePath(absl::GetFlag(FLAGS_data_dir))));
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader batches,
                           TextBatches(text, {.streams = absl::GetFlag(FLAGS_streams), .all_tokens = true}));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(model, context));
  BITGRAD_ASSIGN_OR_RETURN(const TextScore score, ScoreText(*interpreter, batches));
  const double tokens = static_cast<double>(score.tokens), nats = score.nats / tokens;
  const std::string shown = UnitOf(model.header()) == TextUnit::kWords
                                ? absl::StrFormat("perplexity=%.2f", std::exp(nats))
                                : absl::StrFormat("bpc=%.4f", nats / std::log(2.0));
  std::printf("predict: tokens=%lld %s tokens_per_second=%.0f\n", static_cast<long long>(score.tokens), shown.c_str(),
              tokens / std::max(score.seconds, 1e-9));
  return absl::OkStatus();
}

absl::Status Predict() {
  const std::string path = absl::GetFlag(FLAGS_model);
  const int threads = absl::GetFlag(FLAGS_threads);
  const int batch = absl::GetFlag(FLAGS_batch);
  const std::string image = absl::GetFlag(FLAGS_image);
  if (path.empty()) {
    return absl::InvalidArgumentError(kNoModelGiven);
  }
  if (threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  if (absl::GetFlag(FLAGS_streams) < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--streams=", absl::GetFlag(FLAGS_streams), " is not positive; try 20"));
  }
  if (batch < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--batch=", batch, " is not positive; try 100"));
  }
  if (absl::GetFlag(FLAGS_invert) && image.empty()) {
    return absl::InvalidArgumentError("--invert is for the image of --image=FILE, which is missing");
  }
  const std::string logits = ResolvePath(absl::GetFlag(FLAGS_logits));
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  BITGRAD_ASSIGN_OR_RETURN(const auto model, OpenModel(path));
  if (!logits.empty() && (!image.empty() || model->header().input().tokens() > 0)) {
    return absl::InvalidArgumentError(
        "--logits is for the test images of a data set; leave it out with --image and with models of text");
  }
  if (!image.empty()) {
    ExecContext context({.device = device, .threads = threads});
    BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads()));
    return PredictImage(*model, context, {.path = ResolvePath(image), .invert = absl::GetFlag(FLAGS_invert)});
  }
  const packed::Header& header = model->header();
  if (header.data_set().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("packed model '", path, "' names no data set to predict; ",
                     "run it through runtime/interpreter.h, or freeze a model trained on one"));
  }
  ExecContext context({.device = device, .threads = threads});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads()));
  if (header.input().tokens() > 0) return PredictText(*model, context);
  BITGRAD_RETURN_IF_ERROR(CheckTakesPixels(*model));
  LoadOptions options{
      .data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir)), .split = Split::kTest, .threads = context.threads()};
  if (header.data_seed() != 0) options.seed = header.data_seed();
  options.image_size = SideOf(model->input().num_elements());
  options.classes = header.class_count();
  BITGRAD_ASSIGN_OR_RETURN(const Dataset data, LoadDataset(header.data_set(), options));
  BITGRAD_RETURN_IF_ERROR(CheckFits(*model, data));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(*model, context));
  std::optional<AtomicFile> logits_file;
  if (!logits.empty()) {
    BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--logits", logits}}, {{"--model", ResolvePath(path)}}));
    BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(logits));
    logits_file.emplace(std::move(file));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Result result, Evaluate(*interpreter, data, batch, context.threads(),
                                                         logits_file.has_value() ? &*logits_file : nullptr));
  if (logits_file.has_value()) BITGRAD_RETURN_IF_ERROR(logits_file->Commit());
  const double images = static_cast<double>(data.size());
  std::printf("predict: images=%lld error=%.2f%% images_per_second=%.0f\n", static_cast<long long>(data.size()),
              100.0 * static_cast<double>(result.errors) / images, images / std::max(result.seconds, 1e-9));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Runs a packed model over the test images, or the test text, of its data set: "
                                    "how many it gets wrong, or how well it predicts; or over one image.",
                           .more_help = bitgrad::ZooHelp},
                          [] { return bitgrad::Predict(); });
}
