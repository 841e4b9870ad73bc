// Layers around recurrent ones, for Sequential: what else has the features as its columns becomes a sequence, and back.

#ifndef BITGRAD_MODELS_LAYERS_SEQUENCE_H_
#define BITGRAD_MODELS_LAYERS_SEQUENCE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/stack.h"

namespace bitgrad {

// Images as sequences: [batch, steps * n] -> [steps, batch, n]. Step i has the columns i * n, ..., (i + 1) * n - 1: a
// row of the image where there are as many steps as rows. In evaluation one of several steps, [batch, n], stays as it
// is (Model::time_steps). Another number of columns is an error of the tape.
class ImagesAsSequences final : public Layer {
 public:
  ImagesAsSequences(const Scope& scope, int64_t steps, int64_t features)
      : path_(scope.path()), steps_(steps), features_(features) {}
  Var operator()(const Var& x) override {
    Tape* tape = x.tape();
    if (tape == nullptr) return Var();
    Tape::LayerScope layer(*tape, path_);
    if (steps_ > 1 && !tape->training() && x.shape().rank() == 2 && x.shape().dim(1) == features_) return x;
    if (x.shape().rank() != 2 || x.shape().dim(1) != steps_ * features_) {
      tape->ReportError(absl::InvalidArgumentError(absl::StrCat("images as sequences: input ", x.shape().ToString(),
                                                                " has to be [batch, ", steps_ * features_, "]")));
      return tape->Failed();
    }
    std::vector<Var> steps;
    for (int64_t i = 0; i < steps_; ++i) steps.push_back(SliceColumns(x, i * features_, features_));
    return Stack(steps);
  }

 private:
  std::string path_;
  int64_t steps_, features_;
};

// [steps, streams, n] -> [steps * streams, n], as losses of single tokens take it. One step, [streams, n], stays as it
// is.
class StepsAsRows final : public Layer {
 public:
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    return x.shape().rank() == 3 ? Reshape(x, {x.shape().dim(0) * x.shape().dim(1), x.shape().dim(2)}) : x;
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_SEQUENCE_H_
