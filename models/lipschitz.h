// Bounds of the Lipschitz constant of a net in the l1 norm, ||f(x) - f(z)||_1 <= C ||x - z||_1, read off the tape of an
// evaluation as it is recorded. So they hold for whatever layers a model has.
//
// `operator_norm` multiplies, from the input on, what each op can do to l1 distances:
//
//   linear              the largest sum of |w| over a column: the exact operator norm
//   conv2d              the largest sum of |w| over all filters and taps that read one input channel: the exact norm
//                       for stride 1 far from the border, and an upper bound otherwise
//   spline              the largest |slope| of any of the splines
//   batch_norm          the largest |gamma / std|
//   add, sub            the sum over both operands, where none is a constant; mul by a constant its largest magnitude
//   max_pool            the largest number of windows that an input is in; average_pool the same by the window's size,
//                       where all windows lie inside the image
//   concat              the sum over the operands
//   relu, hardtanh, tanh 1, leaky_relu max(1, slope), sigmoid 1/4; reshape, slices 1
//
// Anything else (quantizers, which jump) has no bound, and `operator_norm` is infinity.
//
// `paper` is the bound of Aziznejad et al. (arXiv 2001.06263) for p = 1, as the authors' code computes it: the product
// of max |w| over the weights, times the product over the activations of the sum over all neurons or channels n of
// BV2(sigma_n). It is proven for dense layers that each have an activation behind them. It is NOT valid
//   - for convolutions, whose filters' taps meet an input several times, while the sum over channels knows nothing of
//     positions;
//   - where the last linear layer has N > 1 outputs, in l1: a factor N is missing.
// Other ops count as above.

#ifndef BITGRAD_MODELS_LIPSCHITZ_H_
#define BITGRAD_MODELS_LIPSCHITZ_H_

#include <cstdint>
#include <map>

#include "bitgrad/graph/tape.h"

namespace bitgrad {

class LipschitzBounds {
 public:
  struct Bounds {
    double operator_norm = 1;
    double paper = 1;
  };

  // Listens to the tape (Tape::set_op_listener), on which `input` is the last value so far, until this is destroyed.
  // Waits for the device at each op that has constants. REQUIRES: the tape is of an evaluation.
  LipschitzBounds(Tape& tape, const Var& input);
  ~LipschitzBounds();
  LipschitzBounds(const LipschitzBounds&) = delete;
  LipschitzBounds& operator=(const LipschitzBounds&) = delete;

  // Those of the function from the input to `output`, which was recorded since.
  Bounds Of(const Var& output) const;

  // Of all splines so far: how many there are, and how many of their slopes are larger than their threshold.
  int64_t splines() const { return splines_; }
  int64_t active_knots() const { return active_knots_; }

 private:
  void Follow(int32_t last);
  Bounds OfOp(const Tape::Node& node);

  Tape& tape_;
  std::map<int32_t, Bounds> bounds_;  // of the nodes that depend on the input
  int64_t splines_ = 0, active_knots_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LIPSCHITZ_H_
