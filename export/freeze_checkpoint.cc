#include "export/freeze_checkpoint.h"

#include <vector>

#include "absl/types/span.h"
#include "absl/strings/ascii.h"
#include "core/status_macros.h"
#include "data/preprocessing.h"
#include "export/freeze.h"
#include "graph/parameter.h"
#include "models/training/model_bundle.h"
#include "ops/arithmetic.h"

namespace bitgrad {
namespace {

// A value per channel, for every pixel of an image.
Parameter ForEachPixel(const char* name, const Tensor& channels, int64_t features) {
  Parameter parameter;
  parameter.name = name;
  parameter.trainable = false;
  parameter.value = Tensor(Shape({features}), DType::kFloat32);
  for (int64_t j = 0; j < features; ++j) {
    parameter.value.mutable_data<float>()[j] = channels.data<float>()[j % channels.num_elements()];
  }
  return parameter;
}

// data/standardization.h as ops, with the same roundings, before the model.
class Standardized final : public Model {
 public:
  Standardized(Model& model, absl::Span<const LearnedTensor> learned, int64_t features)
      : model_(model),
        mean_(ForEachPixel("standardization/mean", *learned[0].tensor, features)),
        inv_std_(ForEachPixel("standardization/inv_std", *learned[1].tensor, features)) {}

  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    Var y;
    {
      const Tape::Layer layer(tape, "standardization");
      y = Mul(Sub(x, tape.Use(mean_)), tape.Use(inv_std_));
    }
    return model_.Forward(y);
  }

 private:
  Model& model_;
  Parameter mean_, inv_std_;
};

}  // namespace

absl::StatusOr<PackedModelWriter> FreezeCheckpoint(ExecContext& context, const Checkpoint& checkpoint) {
  const checkpoint::Header& header = checkpoint.header();
  const recipe::DataSet& data = header.recipe().data();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(const auto preprocessing, LoadPreprocessing(checkpoint));
  const Tensor example = Tensor::Zeros({1, header.features()});
  FreezeOptions options{.name = header.recipe().name(), .data_set = data.name()};
  if (data.preprocessing_size() == 1 && absl::StripAsciiWhitespace(data.preprocessing(0)) == "mean_std") {
    Standardized model(*bundle.model, preprocessing->learned(), header.features());
    return Freeze(context, model, example, options);
  }
  options.pixels = preprocessing->empty();
  return Freeze(context, *bundle.model, example, options);
}

}  // namespace bitgrad
