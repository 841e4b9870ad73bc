#include "bitgrad/models/training/check_header.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/dtype.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/vocabulary.h"
#include "bitgrad/models/recipe.h"
#include "google/protobuf/message.h"
#include "google/protobuf/unknown_field_set.h"

namespace bitgrad {
namespace {

constexpr int64_t kMostOfInt32 = INT32_MAX;
// Counts up to here are exact in double, and a few more can be added without overflow.
constexpr int64_t kMostCounted = int64_t{1} << 53;

template <typename... What>
absl::Status Error(const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat(what...));
}

absl::Status CheckIn(absl::string_view field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  if (least == most) return Error(field, " is ", value, ", which is not ", least);
  return Error(field, " is ", value, ", which is not in [", least, ", ", most, "]");
}

absl::Status CheckFinite(absl::string_view field, double value) {
  return std::isfinite(value) ? absl::OkStatus() : Error(field, " is ", value);
}

absl::Status CheckShare(absl::string_view field, double value) {
  return value >= 0 && value <= 1 ? absl::OkStatus() : Error(field, " is ", value, ", which is not in [0, 1]");
}

bool IsText(const checkpoint::Header& header) { return header.text() != checkpoint::NO_TEXT; }

// The mean of the first metric: a share, or nats. NaN is that of no examples.
absl::Status CheckMetric(absl::string_view field, double value, const checkpoint::Header& header) {
  if (std::isnan(value)) return absl::OkStatus();
  if (!IsText(header)) return CheckShare(field, value);
  return value >= 0 ? absl::OkStatus() : Error(field, " is ", value, ", which is negative");
}

// A recipe of a newer build may say something with a field that this one would pass over.
bool HasUnknownFields(const google::protobuf::Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (!reflection.GetUnknownFields(message).empty()) return true;
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const google::protobuf::FieldDescriptor* field : fields) {
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      if (HasUnknownFields(reflection.GetMessage(message, field))) return true;
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      if (HasUnknownFields(reflection.GetRepeatedMessage(message, field, i))) return true;
    }
  }
  return false;
}

// Height, width and channels whose product is `features`.
absl::Status CheckImageShape(absl::string_view field, const google::protobuf::RepeatedField<int64_t>& shape,
                             int64_t features) {
  if (shape.size() != 3) return Error(field, " has ", shape.size(), " extents, not height, width and channels");
  int64_t product = 1;
  for (const int64_t extent : shape) {
    BITGRAD_RETURN_IF_ERROR(CheckIn(field, extent, 1, kMostOfInt32));
    product *= extent;
    // The product of two such numbers has an int64.
    if (product > kMostOfInt32) return Error(field, " has more than 2^31 - 1 values");
  }
  if (product != features) return Error(field, " has ", product, " values, but features is ", features);
  return absl::OkStatus();
}

absl::Status CheckData(absl::string_view field, const fingerprint::DataSet& data, const checkpoint::Header& header) {
  if (IsText(header)) {
    BITGRAD_RETURN_IF_ERROR(CheckIn(absl::StrCat(field, ".tokens"), data.tokens(), 1, kMostCounted));
    return CheckIn(absl::StrCat(field, ".classes"), data.classes(), header.classes(), header.classes());
  }
  BITGRAD_RETURN_IF_ERROR(CheckIn(absl::StrCat(field, ".images"), data.images(), 1, kMostCounted));
  BITGRAD_RETURN_IF_ERROR(CheckImageShape(absl::StrCat(field, ".image_shape"), data.image_shape(), header.features()));
  return CheckIn(absl::StrCat(field, ".classes"), data.classes(), header.classes(), header.classes());
}

absl::Status CheckDataFields(const checkpoint::Header& header) {
  BITGRAD_RETURN_IF_ERROR(CheckIn("features", header.features(), 0, kMostOfInt32));
  BITGRAD_RETURN_IF_ERROR(CheckIn("classes", header.classes(), 0, kMostOfInt32));
  if (!header.image_shape().empty()) {
    BITGRAD_RETURN_IF_ERROR(CheckImageShape("image_shape", header.image_shape(), header.features()));
  }
  if (!checkpoint::TextUnit_IsValid(header.text())) return Error("text is ", static_cast<int>(header.text()));
  if (IsText(header)) {
    BITGRAD_RETURN_IF_ERROR(CheckIn("features of a model of text", header.features(), 0, 0));
    const std::vector<std::string> tokens(header.class_names().begin(), header.class_names().end());
    if (const absl::Status vocabulary = Vocabulary::Of(tokens).status(); !vocabulary.ok()) {
      return Error("class_names of a model of text: ", vocabulary.message());
    }
    if (header.has_validation_data()) {
      BITGRAD_RETURN_IF_ERROR(CheckData("validation_data", header.validation_data(), header));
    }
  }
  if ((header.class_names_size() != 0 || IsText(header)) && header.class_names_size() != header.classes()) {
    return Error("there are ", header.class_names_size(), " class_names for ", header.classes(), " classes");
  }
  if (header.has_training_data()) {
    BITGRAD_RETURN_IF_ERROR(CheckData("training_data", header.training_data(), header));
  }
  if (header.has_test_data()) BITGRAD_RETURN_IF_ERROR(CheckData("test_data", header.test_data(), header));
  return absl::OkStatus();
}

absl::Status CheckPartialSums(const checkpoint::PartialSums& sums) {
  BITGRAD_RETURN_IF_ERROR(CheckFinite("progress.partial.metric_sum", sums.metric_sum()));
  if (sums.metric_sum() < 0) return Error("progress.partial.metric_sum is ", sums.metric_sum());
  BITGRAD_RETURN_IF_ERROR(CheckFinite("progress.partial.loss_sum", sums.loss_sum()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite("progress.partial.penalty_sum", sums.penalty_sum()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite("progress.partial.seconds", sums.seconds()));
  if (sums.seconds() < 0) return Error("progress.partial.seconds is ", sums.seconds());
  BITGRAD_RETURN_IF_ERROR(CheckIn("progress.partial.errors", sums.errors(), 0, sums.examples()));
  for (const checkpoint::LayerSums& layer : sums.layers()) {
    const std::string field = absl::StrCat("progress.partial.layers['", layer.layer(), "'].");
    BITGRAD_RETURN_IF_ERROR(CheckIn(field + "weights", layer.weights(), 0, kMostCounted));
    // Shares of weight_count are computed where there are weights.
    BITGRAD_RETURN_IF_ERROR(
        CheckIn(field + "weight_count", layer.weight_count(), layer.weights() > 0 ? 1 : 0, kMostCounted));
    BITGRAD_RETURN_IF_ERROR(CheckIn(field + "activations", layer.activations(), 0, kMostCounted));
    BITGRAD_RETURN_IF_ERROR(CheckIn(field + "sign_flips", layer.sign_flips(), 0, layer.weights()));
    BITGRAD_RETURN_IF_ERROR(CheckIn(field + "at_clip", layer.at_clip(), 0, layer.weight_count()));
    BITGRAD_RETURN_IF_ERROR(CheckIn(field + "inside_window", layer.inside_window(), 0, layer.activations()));
  }
  return absl::OkStatus();
}

absl::Status CheckEpoch(const std::string& field, const checkpoint::EpochMetrics& metrics, int number,
                        const checkpoint::Header& header) {
  BITGRAD_RETURN_IF_ERROR(CheckIn(field + ".epoch", metrics.epoch(), number, number));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".loss", metrics.loss()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".penalty", metrics.penalty()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".learning_rate", metrics.learning_rate()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".seconds", metrics.seconds()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".examples_per_second", metrics.examples_per_second()));
  BITGRAD_RETURN_IF_ERROR(CheckFinite(field + ".train_error", metrics.train_error()));
  BITGRAD_RETURN_IF_ERROR(CheckMetric(field + ".train_error", metrics.train_error(), header));
  BITGRAD_RETURN_IF_ERROR(CheckMetric(field + ".valid_error", metrics.valid_error(), header));
  BITGRAD_RETURN_IF_ERROR(CheckMetric(field + ".test_error", metrics.test_error(), header));
  for (const checkpoint::LayerMetrics& layer : metrics.layers()) {
    BITGRAD_RETURN_IF_ERROR(CheckShare(field + ".layers.sign_flips", layer.sign_flips()));
    BITGRAD_RETURN_IF_ERROR(CheckShare(field + ".layers.at_clip", layer.at_clip()));
    BITGRAD_RETURN_IF_ERROR(CheckShare(field + ".layers.inside_window", layer.inside_window()));
  }
  return absl::OkStatus();
}

absl::Status CheckProgress(const checkpoint::Header& header) {
  const checkpoint::Progress& progress = header.progress();
  const int64_t epochs = header.has_recipe() ? header.recipe().epochs() : kMostOfInt32;
  BITGRAD_RETURN_IF_ERROR(CheckIn("progress.epoch", progress.epoch(), 0, epochs));
  const bool finished = progress.epoch() == epochs;
  BITGRAD_RETURN_IF_ERROR(CheckIn("progress.batches_done", progress.batches_done(), 0, finished ? 0 : kMostOfInt32));
  BITGRAD_RETURN_IF_ERROR(
      CheckIn("progress.best_epoch", progress.best_epoch(), progress.epoch() > 0 ? 1 : 0, progress.epoch()));
  BITGRAD_RETURN_IF_ERROR(CheckMetric("progress.best_valid_error", progress.best_valid_error(), header));
  const checkpoint::PartialSums& sums = progress.partial();
  BITGRAD_RETURN_IF_ERROR(
      CheckIn("progress.partial.steps", sums.steps(), progress.batches_done(), progress.batches_done()));
  if (header.has_recipe()) {
    const int64_t least = progress.batches_done() * header.recipe().batch_size();
    int64_t most = least;
    if (IsText(header)) {
      // The last batch may have fewer steps.
      const int64_t steps = header.recipe().data().steps();
      BITGRAD_RETURN_IF_ERROR(CheckIn("recipe.data.steps", steps, 1, kMostOfInt32));
      most = least > kMostCounted / steps ? kMostCounted : least * steps;
    }
    BITGRAD_RETURN_IF_ERROR(CheckIn("progress.partial.examples", sums.examples(), least, most));
  } else {
    BITGRAD_RETURN_IF_ERROR(CheckIn("progress.partial.examples", sums.examples(), 0, kMostCounted));
  }
  BITGRAD_RETURN_IF_ERROR(CheckPartialSums(sums));

  if (header.epochs_size() != progress.epoch()) {
    return Error("there are ", header.epochs_size(), " epochs, but progress.epoch is ", progress.epoch());
  }
  for (int i = 0; i < header.epochs_size(); ++i) {
    BITGRAD_RETURN_IF_ERROR(CheckEpoch(absl::StrCat("epochs[", i, "]"), header.epochs(i), i + 1, header));
  }
  return absl::OkStatus();
}

absl::Status CheckNames(absl::string_view field,
                        const google::protobuf::RepeatedPtrField<checkpoint::TensorEntry>& entries) {
  std::set<std::string> names;
  for (const checkpoint::TensorEntry& entry : entries) {
    if (entry.name().empty()) return Error("a tensor of ", field, " has no name");
    if (!names.insert(entry.name()).second) return Error("two tensors of ", field, " are named '", entry.name(), "'");
  }
  return absl::OkStatus();
}

// Matrices [streams, width] of a run that stopped within an epoch.
absl::Status CheckStates(const checkpoint::Header& header) {
  BITGRAD_RETURN_IF_ERROR(CheckNames("states", header.states()));
  if (header.states_size() > 0 && header.progress().batches_done() == 0) {
    return Error("there are ", header.states_size(), " states, but progress.batches_done is 0");
  }
  for (const checkpoint::TensorEntry& entry : header.states()) {
    if (entry.shape_size() != 2 || entry.dtype() != static_cast<int>(DType::kFloat32)) {
      return Error("states['", entry.name(), "'] is no matrix of float32");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckHeader(const checkpoint::Header& header) {
  if (header.has_recipe()) {
    if (HasUnknownFields(header.recipe())) {
      return Error("recipe has fields that this build does not know; use the newer bitgrad that has written it");
    }
    BITGRAD_RETURN_IF_ERROR(ValidateRecipe(header.recipe()));
  }
  BITGRAD_RETURN_IF_ERROR(CheckDataFields(header));
  BITGRAD_RETURN_IF_ERROR(CheckProgress(header));
  BITGRAD_RETURN_IF_ERROR(CheckIn("optimizer_steps", header.optimizer_steps(), 0, kMostCounted));
  BITGRAD_RETURN_IF_ERROR(CheckNames("parameters", header.parameters()));
  BITGRAD_RETURN_IF_ERROR(CheckNames("optimizer_state", header.optimizer_state()));
  BITGRAD_RETURN_IF_ERROR(CheckNames("preprocessing", header.preprocessing()));
  return CheckStates(header);
}

}  // namespace bitgrad
