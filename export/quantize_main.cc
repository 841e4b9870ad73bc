// //export:quantize: the checkpoint of a float net becomes a packed model of integers and shifts, without training.

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/export/checkpoint_model.h"
#include "bitgrad/export/quantize_net.h"
#include "bitgrad/models/data_options.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(int64_t, calibration, 100, "How many training images the fractional bits are searched on.");
ABSL_FLAG(int, bits, 8, "Width of weights and activations, from 4 to 8.");
ABSL_FLAG(std::string, out, "", "Packed model file to write.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");

namespace bitgrad {
namespace {

constexpr int64_t kEvaluated = 500;  // images at a time

absl::StatusOr<Dataset> Load(const recipe::DataSet& data, Split split, int64_t limit, ExecContext& context) {
  LoadOptions options = LoadOptionsOf(data);
  options.data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir));
  options.split = split;
  options.threads = context.threads();
  // The first images are those of all, whatever the recipe leaves out for a shorter training.
  if (limit > 0 && (options.limit == 0 || limit < options.limit)) options.limit = limit;
  return LoadDataset(data.name(), options);
}

absl::Status CheckKind(const Checkpoint& checkpoint, const Dataset& data) {
  const checkpoint::Header& header = checkpoint.header();
  const std::vector<std::string> names(header.class_names().begin(), header.class_names().end());
  return CheckKindOfData(absl::StrCat("checkpoint '", checkpoint.path(), "'"), ImageShapeOf(header), header.classes(),
                         names, data);
}

// The first images of the training set, as the model takes them.
absl::StatusOr<Tensor> CalibrationImages(ExecContext& context, const Checkpoint& checkpoint,
                                         const CheckpointModel& model, int64_t count) {
  BITGRAD_ASSIGN_OR_RETURN(const Dataset train,
                           Load(checkpoint.header().recipe().data(), Split::kTrain, count, context));
  BITGRAD_RETURN_IF_ERROR(CheckKind(checkpoint, train));
  if (train.size() < count) {
    return absl::InvalidArgumentError(absl::StrCat("--calibration=", count, ": the training set has ", train.size(),
                                                   " images; ask for at most as many"));
  }
  BITGRAD_ASSIGN_OR_RETURN(
      const BatchLoader loader,
      BatchLoader::Create(train, {0, count},
                          {.batch_size = count, .preprocessing = model.takes_pixels ? nullptr : model.preprocessing}));
  EpochBatches batches = loader.Epoch(0);
  const Batch* const batch = batches.Next();
  if (batch == nullptr) return batches.status();
  return batch->images.Clone();
}

struct Errors {
  int64_t images = 0, of_float = 0, of_quantized = 0;
};

// On the test set, by the graph and by the packed model.
absl::StatusOr<Errors> CountErrors(ExecContext& context, const Checkpoint& checkpoint, const CheckpointModel& model,
                                   const PackedModel& packed) {
  BITGRAD_ASSIGN_OR_RETURN(const Dataset test, Load(checkpoint.header().recipe().data(), Split::kTest, 0, context));
  BITGRAD_RETURN_IF_ERROR(CheckKind(checkpoint, test));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(packed, context));
  BITGRAD_ASSIGN_OR_RETURN(
      const BatchLoader loader,
      BatchLoader::Create(test, AllExamples(test), {.batch_size = kEvaluated, .preprocessing = model.preprocessing}));
  Errors errors = {.images = test.size()};
  std::vector<uint8_t> buffer;
  EpochBatches batches = loader.Epoch(0);
  for (const Batch& batch : batches) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, Logits(context, *model.bundle.model, batch.images));
    const int64_t first = batch.index * kEvaluated;
    BITGRAD_ASSIGN_OR_RETURN(const auto pixels, test.Pixels({first, first + batch.size()}, context.threads(), buffer));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor quantized, model.takes_pixels
                                                         ? interpreter->RunPixels(pixels)
                                                         : interpreter->Run(batch.images.matrix<float>()));
    BITGRAD_ASSIGN_OR_RETURN(const int64_t float_wrong, CountWrong(context, logits, batch.labels));
    BITGRAD_ASSIGN_OR_RETURN(const int64_t quantized_wrong, CountWrong(context, quantized, batch.labels));
    errors.of_float += float_wrong;
    errors.of_quantized += quantized_wrong;
  }
  BITGRAD_RETURN_IF_ERROR(batches.status());
  return errors;
}

absl::Status CheckFlags() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  if (absl::GetFlag(FLAGS_out).empty()) return absl::InvalidArgumentError("--out=FILE is missing");
  if (const int64_t count = absl::GetFlag(FLAGS_calibration); count < 1) {
    return absl::InvalidArgumentError(absl::StrCat("--calibration=", count, " is not positive; try 100"));
  }
  if (const int threads = absl::GetFlag(FLAGS_threads); threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  if (const absl::Status status = CheckQuantizedBits(absl::GetFlag(FLAGS_bits)); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("--", status.message()));
  }
  return absl::OkStatus();
}

absl::Status QuantizeFile() {
  BITGRAD_RETURN_IF_ERROR(CheckFlags());
  const int bits = absl::GetFlag(FLAGS_bits);
  const int64_t calibration = absl::GetFlag(FLAGS_calibration);
  const std::string out = ResolvePath(absl::GetFlag(FLAGS_out));
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  BITGRAD_RETURN_IF_ERROR(CheckOutputIsNotInput({{"--out", out}}, {{"--checkpoint", path}}));
  if (Checkpoint::Open(out).ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--out='", out, "' is a checkpoint, which would be overwritten; choose another --out"));
  }
  if (checkpoint.header().text() != checkpoint::NO_TEXT) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint '", path,
                                                   "' is of a model of text, and only nets of images can be "
                                                   "quantized after training; freeze it: //export:freeze"));
  }
  ExecContext context({.threads = absl::GetFlag(FLAGS_threads)});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads()));
  BITGRAD_ASSIGN_OR_RETURN(const CheckpointModel model, ModelOfCheckpoint(context, checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor images, CalibrationImages(context, checkpoint, model, calibration));
  const recipe::Recipe& recipe = checkpoint.header().recipe();
  BITGRAD_ASSIGN_OR_RETURN(
      QuantizedNet net,
      QuantizeNet(
          context, model.model(), images,
          {.bits = bits, .name = recipe.name(), .data_set = recipe.data().name(), .pixels = model.takes_pixels}));
  CopyData(checkpoint.header(), net.writer.header());
  absl::PrintF("%s", SearchReport(net.modules, net.formats));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, net.writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(const auto packed, PackedModel::FromBytes(out, bytes));
  BITGRAD_ASSIGN_OR_RETURN(const Errors errors, CountErrors(context, checkpoint, model, *packed));
  BITGRAD_RETURN_IF_ERROR(net.writer.Write(out).status());
  const double percent = 100.0 / static_cast<double>(errors.images);
  absl::PrintF(
      "quantize: modules=%d bits=%d calibration=%d float_error=%.2f%% quantized_error=%.2f%% multiplications=%d\n",
      net.quantizing_modules(), bits, calibration, percent * static_cast<double>(errors.of_float),
      percent * static_cast<double>(errors.of_quantized), CountScalings(net.writer.header()));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Quantizes a float net after training into a packed model of integers and shifts."},
                          [] { return bitgrad::QuantizeFile(); });
}
