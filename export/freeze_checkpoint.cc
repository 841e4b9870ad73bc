#include "bitgrad/export/freeze_checkpoint.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {
namespace {

Parameter Constant(ExecContext& context, const char* name, const Tensor& value) {
  Parameter parameter;
  parameter.name = name;
  parameter.trainable = false;
  parameter.value = ToDevice(context, value);
  return parameter;
}

// A model that standardizes its input as data/standardization.h does, by ops with the same roundings, and then applies
// another model.
class Standardized final : public Model {
 public:
  // learned: mean and inverse standard deviation of each channel.
  Standardized(ExecContext& context, Model& model, absl::Span<const LearnedTensor> learned)
      : model_(model),
        mean_(Constant(context, "standardization/mean", *learned[0].tensor)),
        inv_std_(Constant(context, "standardization/inv_std", *learned[1].tensor)) {}

  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    Var y;
    {
      const Tape::LayerScope layer(tape, "standardization");
      const Shape vector = x.shape();
      const int64_t channels = mean_.value.num_elements();
      const Var pixels = Reshape(x, {vector.dim(0), vector.dim(1) / channels, channels});
      y = Reshape(Mul(Sub(pixels, tape.Use(mean_)), tape.Use(inv_std_)), vector);
    }
    return model_.Forward(y);
  }
  bool AnswerAsFrozen(bool frozen) override { return model_.AnswerAsFrozen(frozen); }

 private:
  Model& model_;
  Parameter mean_, inv_std_;
};

// Copies what the checkpoint knows of its data.
PackedModelWriter WithData(PackedModelWriter writer, const checkpoint::Header& header) {
  packed::Header& packed = writer.header();
  if (header.has_training_data()) *packed.mutable_training_data() = header.training_data();
  if (header.has_test_data()) *packed.mutable_test_data() = header.test_data();
  *packed.mutable_class_names() = header.class_names();
  return writer;
}

}  // namespace

absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint,
                                                   FreezeOptions options) {
  const checkpoint::Header& header = checkpoint.header();
  const recipe::DataSet& data = header.recipe().data();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  MoveToDevice(context, *bundle.store);
  options.name = header.recipe().name();
  options.data_set = data.name();
  if (header.text() != checkpoint::NO_TEXT) {
    // A few streams, so that a constant with a row for each of them is not taken for one without.
    const Tensor tokens = Tensor::Zeros({3}, DType::kInt32);
    BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, *bundle.model, tokens, options));
    writer.header().set_text(header.text() == checkpoint::WORDS ? packed::Header::WORDS : packed::Header::CHARACTERS);
    return WithData(std::move(writer), header);
  }
  BITGRAD_ASSIGN_OR_RETURN(const auto preprocessing, LoadPreprocessing(checkpoint));
  const Tensor example = Tensor::Zeros({1, header.features()});
  if (data.preprocessing_size() == 1 && absl::StripAsciiWhitespace(data.preprocessing(0)) == "mean_std") {
    options.pixels = true;
    Standardized model(context, *bundle.model, preprocessing->learned());
    BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, model, example, options));
    return WithData(std::move(writer), header);
  }
  options.pixels = preprocessing->empty();
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, *bundle.model, example, options));
  return WithData(std::move(writer), header);
}

}  // namespace bitgrad
