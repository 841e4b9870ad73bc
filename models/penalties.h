// What training adds to the loss of any network for the numbers that its quantizers learn. Both are read off the tape
// of the forward pass, so they hold for whatever layers a model has.

#ifndef BITGRAD_MODELS_PENALTIES_H_
#define BITGRAD_MODELS_PENALTIES_H_

#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/scale_penalty.h"
#include "bitgrad/ops/spline.h"

namespace bitgrad {

// BNN+'s regularizer (arXiv 1812.11800, section 3.1): the sum of ScalePenalty(w, alpha) over all weights whose
// quantizer learns its scale alpha. [] float32. An error of the tape where there is none.
Var SumOfScalePenalties(Tape& tape, ScalePenaltyKind kind);

// What BitPruning's bit lengths n_i cost (arXiv 2002.03090): sum of lambda_i n_i, where the lambda_i add up to 1 and
// are
//
//   kAverage      equal for all weights and activations: the cost is the average number of bits
//   kFootprint    in proportion to the elements: of a weight, or of the activations of one example
//   kOperations   in proportion to the multiply-accumulates, for one example, of the products that read the value
//
// With a bit length for each output, n_i is their mean.
enum class BitCost { kAverage, kFootprint, kOperations };

// [] float32. An error of the tape where no bit length is learned.
Var CostOfBits(Tape& tape, BitCost cost);

// What the learned splines cost (arXiv 2001.06263): the sum of SplinePenalty() over all of them, with their linear
// terms.
// [] float32. An error of the tape where there is none.
Var SumOfSplinePenalties(Tape& tape, SplinePenaltyKind kind);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_PENALTIES_H_
