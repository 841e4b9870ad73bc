// RecurrentNet: layers of recurrent cells (layers/recurrent.h) over the tokens of a text, or over the parts of an
// image.
//
//   tokens   ids int32 [steps, streams] -> Embedding -> Recurrent x hidden layers -> Dense -> [steps * streams,
//   classes],
//            the logits of each next token, time-major; or one step, [streams] -> [streams, classes]
//   images   [batch, image_steps * n] -> Recurrent x hidden layers -> Dense on h after the last step -> [batch,
//   classes]; or, in evaluation, one time step, [batch, n] -> [batch, classes]
//
// Over tokens layers carry their states from one tape to the next; over images each tape begins with zeros, but for
// those of one time step.
//
// Parameters are named embedding/table, lstm1/.., lstm2/.. (or gru1/.., rnn1/..), output/weight, output/bias. In a tied
// net (arXiv 1608.05859) embedding/table is the output's weight, too, and embedding is as wide as the last layer.
//
// Quantizers: `input` of every layer's x, but `embedding_quantizer` of tokens' rows; `state` of h as W_h reads it;
// `output` of h as the output layer reads it. Dropout is on what these make of x, of every layer and of the output
// (Zaremba et al., arXiv 1409.2329).
//
// Initial values: of recurrent weights as layers/recurrent.h says, of the output's as layers/dense.h says, of the table
// uniform in [-1, 1], in the range that activation quantizers have; or tied, as a weight, in +-1 / sqrt(embedding).
// `initial_range` takes the place of all of these. A table whose rows are quantized is clipped to [-clip, clip], for
// beyond it there is no gradient.

#ifndef BITGRAD_MODELS_RECURRENT_NET_H_
#define BITGRAD_MODELS_RECURRENT_NET_H_

#include <cstdint>
#include <vector>

#include "absl/types/optional.h"
#include "bitgrad/models/layers/recurrent.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

struct RecurrentNetOptions {
  RecurrentCell cell = RecurrentCell::kLstm;
  std::vector<int64_t> hidden;  // units of each layer
  int64_t classes = 0;          // of images, or how many tokens there are
  // Tokens: the width of a token's row. Images: 0.
  int64_t embedding = 0;
  // Images: into how many parts they are read, and the values of each. Tokens: 0.
  int64_t image_steps = 0;
  int64_t step_features = 0;
  Quantizer embedding_quantizer;
  Quantizer input;
  Quantizer state;
  Quantizer input_weight;
  Quantizer hidden_weight;
  Quantizer gate;
  Quantizer gradient;
  Quantizer output;
  Quantizer output_weight;
  float keep = 1.0f;
  bool tied = false;
  float clip = 1.0f;
  absl::optional<float> initial_range;
  float forget_bias = 0;
};

class RecurrentNet final : public SequentialModel {
 public:
  RecurrentNet(const Scope& scope, const RecurrentNetOptions& options);
  // Of images.
  int64_t time_steps() const override { return time_steps_; }

 private:
  int64_t time_steps_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECURRENT_NET_H_
