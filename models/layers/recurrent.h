// Recurrent: a layer of LSTM, GRU or plain RNN cells over time. x [steps, streams, in] -> [steps, streams, hidden], or
// one time step [streams, in] -> [streams, hidden], which is what freezing records.
//
// With x and h as they are quantized by `input` and `state`, and both weights by theirs (s is the sigmoid, * and + are
// elementwise, q the quantizer `gate`):
//
//   kLstm     a = x W_x^T + b + h W_h^T, of four parts i, f, g, o of `hidden` columns each (PyTorch's order)
//             c' = q(s(f)) c + q(s(i)) q(tanh(g)),   h' = q(s(o)) tanh(c')
//   kGru      u = x W_x^T + b_x, v = h W_h^T + b_h, of three parts r, z, n each (PyTorch's order)
//             r = q(s(u_r + v_r)), z = q(s(u_z + v_z)), m = q(tanh(u_n + r v_n)),   h' = m + z (h - m)
//   kRnnTanh  h' = tanh(x W_x^T + b + h W_h^T)
//   kRnnRelu  h' = max(x W_x^T + b + h W_h^T, 0)
//
// Sources: Hochreiter, Schmidhuber, Neural Computation 9(8), 1997, with Gers' forget gate (2000); Cho et al., arXiv
// 1406.1078; quantized by Hubara et al., arXiv 1609.07061, and He et al., arXiv 1611.10176. A cell is made of generic
// ops, so that each freezes without an instruction of its own. Only h as W_h reads it is quantized; c, and the h in the
// last line of the GRU, are floats.
//
// Parameters, for gates = 4, 3, 1:
//
//   input_weight [gates * hidden, in]       W_x     also below it: quantizer/..., as of input, hidden, gate
//   hidden_weight [gates * hidden, hidden]  W_h
//   bias [gates * hidden]                   b; a GRU has input_bias and hidden_bias, which its r keeps apart
//
// The product with W_x is one for all time steps. Weights are quantized once per tape (ops/quantize.h).
//
// States. At the first step h and c are what the tape before has left under "PATH/h" and "PATH/c"
// (graph/state_store.h), zeros at the beginning; what the last step leaves, the next tape reads. No gradient flows from
// one tape to the one before: backpropagation is truncated. Without `carries_state` each tape begins with zeros, but
// for one of a single time step, which is part of a sequence in any case. A zero that is quantized may be none: sign
// reads +1, k_bit(k) its least positive level.
//
// Scales of weights. There is no batch norm, which elsewhere undoes any scale, and gates saturate beyond +-4. Products
// of 300 inputs with weights uniform in [-1, 1] are that large. So weights need a scale of about 1 / sqrt(hidden):
//
//   max_abs(k), lsq(k)      k >= 2 bits. The range follows the weights, which begin in +-1 / sqrt(hidden) and grow as
//                           far as they like. "max_abs(k, per_output)" has a range for each row of each gate
//   xnor, sign(scale=mean)  1 bit. So does the mean
//   sign, ternary, k_bit with "scale=glorot": fixed at sqrt(1.5 / (in + hidden)); latent weights live in [-clip, clip]
//                           in units of it, so train them with the optimizer's glorot_scale
//   sign, ternary, k_bit    alone: only for nets of few units
//
// States and inputs are in [-1, 1], so k_bit(k), sign and ternary suit x and h; of a kRnnRelu they are positive, and
// pact(k) or dorefa_activation(k) suit them. What a quantizer of h learns begins with what zeros say, for h does: a
// step of lsq or a learned scale with 1, pact's clip with 10.
//
// Initial values are uniform: of float weights and those whose scale follows them in +-1 / sqrt(hidden), of others in
// [-clip, clip], of all in +-initial_range where that is given. Biases are 0, but for forget_bias.

#ifndef BITGRAD_MODELS_LAYERS_RECURRENT_H_
#define BITGRAD_MODELS_LAYERS_RECURRENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/optional.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/layers/layer_quantizer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

enum class RecurrentCell { kLstm, kGru, kRnnTanh, kRnnRelu };

struct RecurrentOptions {
  RecurrentCell cell = RecurrentCell::kLstm;
  int64_t in = 0;
  int64_t hidden = 0;  // the number of units: the width of h
  Quantizer input;     // of x
  Quantizer state;     // of h, as W_h reads it
  Quantizer input_weight;
  Quantizer hidden_weight;
  Quantizer gate;      // of the gates' outputs; a plain RNN has none
  Quantizer gradient;  // of the gradient that arrives at the products
  float clip = 1.0f;   // of latent weights
  absl::optional<float> initial_range;
  float forget_bias = 0;  // the initial bias of an LSTM's forget gate
  // Dropout on the quantized x, not on h (Zaremba et al., arXiv 1409.2329): in training each value is kept with this
  // probability and divided by it. Such a layer multiplies x in float where it trains, with codes where it does not.
  float input_keep = 1.0f;
  bool carries_state = true;
  bool last_only = false;  // the result is h after the last step alone, [streams, hidden]
};

class Recurrent final : public Layer {
 public:
  // What makes no sense is an error of the scope: extents and ranges that are not positive, a gate quantizer or a
  // forget bias of a cell without such gates.
  Recurrent(const Scope& scope, const RecurrentOptions& options);
  // An x of another shape is an error of the tape.
  Var operator()(const Var& x) override;
  void VisitQuantizers(const QuantizerVisitor& visit) override;

 private:
  struct State {
    Var h, c;
  };
  void CheckOptions(const Scope& scope) const;
  Var InitialState(Tape& tape, const char* name, int64_t streams, bool is_carried) const;
  // One time step; x is x W_x^T + b.
  State StepOf(const Var& x, const State& before, const Var& weight) const;
  Var LstmCellState(const Var& gates, const State& before) const;
  Var GruState(const Var& x, const Var& product, const Var& before) const;
  // The part of the gates' sums that belongs to gate `index`.
  Var Gate(const Var& sums, int64_t index, int64_t count = 1) const;

  std::string path_;
  RecurrentOptions options_;
  LayerQuantizer quantize_input_, quantize_state_, quantize_input_weight_, quantize_hidden_weight_, quantize_gate_;
  Parameter& input_weight_;
  Parameter& hidden_weight_;
  Parameter& bias_;                   // of the GRU: b_x
  Parameter* hidden_bias_ = nullptr;  // of the GRU alone
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_RECURRENT_H_
