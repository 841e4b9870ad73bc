// LayerQuantizer: a quantizer in its place in a layer, with the parameters that it learns or keeps.
//
//   LayerQuantizer weight_quantizer_(scope / "weight", Lsq(4), QuantizerRole::kWeight, /*rows=*/out);
//   Var w = weight_quantizer_(tape.Use(weight_));      // conv1/weight/quantizer/step
//
// Parameters, all below "quantizer" of the scope, [1] or, for each row, [rows]:
//
//   the form's variable, by its name    step, clip, bits, beta
//   scale                               where the scale is learned
//   range                               the running statistic of activations; not trainable
//
// They get their first values from the first tensor that is quantized in training (ops/quantize.h).

#ifndef BITGRAD_MODELS_LAYERS_LAYER_QUANTIZER_H_
#define BITGRAD_MODELS_LAYERS_LAYER_QUANTIZER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/var.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

class LayerQuantizer {
 public:
  // `rows` is the number of rows of the matrix that is quantized, for numbers of each row: a weight's outputs. A
  // quantizer that cannot have the role, or whose argument is out of range, is an error of the scope.
  LayerQuantizer(const Scope& scope, const Quantizer& quantizer, QuantizerRole role, int64_t rows);

  // Says of a weight that is quantized by this what it is, to optimizers and summaries. Latent weights are clipped to
  // [-clip, clip] where the quantizer wants them there, and their steps may be scaled (GlorotScale of optim/).
  void SetUpWeight(Parameter& weight, int64_t fan_in, int64_t fan_out, float clip) const;

  Var operator()(const Var& x, QuantizedRows rows = QuantizedRows::kByRank) const;
  // In the layer's role.
  const Quantizer& quantizer() const { return quantizer_; }
  // The path of what is quantized: "conv1/weight".
  const std::string& path() const { return path_; }

  // How many bits a value takes: those of the codes or, where bit lengths are being learned, their mean. Waits for the
  // device in that case.
  double Bits(ExecContext& context) const;
  // Whether the number of bits is learned, or was before Harden().
  bool learns_bits() const { return learns_bits_; }

  // Ends the learning of a bit length: it is rounded up, and the quantizer becomes one of so many bits. Where each
  // output has a length of its own, that is the largest of them, for a product has one kind of codes. Its parameter
  // keeps the rounded lengths. FailedPrecondition, naming the parameter, where a length is none from 1 to 8. Does
  // nothing for other quantizers.
  absl::Status Harden(ExecContext& context);

 private:
  std::string path_;
  Quantizer quantizer_;
  bool learns_bits_ = false;
  Parameter* variable_ = nullptr;
  Parameter* scale_ = nullptr;
  Parameter* range_ = nullptr;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_LAYER_QUANTIZER_H_
