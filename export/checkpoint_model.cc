#include "bitgrad/export/checkpoint_model.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/parameter.h"
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
  int64_t time_steps() const override { return model_.time_steps(); }
  bool AnswerAsFrozen(bool frozen) override { return model_.AnswerAsFrozen(frozen); }

 private:
  Model& model_;
  Parameter mean_, inv_std_;
};

}  // namespace

absl::StatusOr<CheckpointModel> ModelOfCheckpoint(ExecContext& context, const Checkpoint& checkpoint) {
  const recipe::DataSet& data = checkpoint.header().recipe().data();
  CheckpointModel made;
  BITGRAD_ASSIGN_OR_RETURN(made.bundle, LoadModel(checkpoint));
  MoveToDevice(context, *made.bundle.store);
  BITGRAD_ASSIGN_OR_RETURN(made.preprocessing, LoadPreprocessing(checkpoint));
  if (data.preprocessing_size() == 1 && absl::StripAsciiWhitespace(data.preprocessing(0)) == "mean_std") {
    made.standardized = std::make_unique<Standardized>(context, *made.bundle.model, made.preprocessing->learned());
  } else {
    made.takes_pixels = made.preprocessing->empty();
  }
  return made;
}

void CopyData(const checkpoint::Header& from, packed::Header& to) {
  if (from.has_training_data()) *to.mutable_training_data() = from.training_data();
  if (from.has_test_data()) *to.mutable_test_data() = from.test_data();
  *to.mutable_class_names() = from.class_names();
}

}  // namespace bitgrad
