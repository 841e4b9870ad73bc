// A network with learned splines, whose report tells how smooth and how sparse they have become.

#ifndef BITGRAD_MODELS_SPLINE_MODEL_H_
#define BITGRAD_MODELS_SPLINE_MODEL_H_

#include <cstdint>
#include <memory>

#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"

namespace bitgrad {

// The network itself where the store has no parameters of splines. Otherwise a model that is the network in all but its
// report, which ends with the values of the whole model (models/lipschitz.h)
//
//   paper_bound       the bound of arXiv 2001.06263; for convolutions and for several outputs no bound
//   lipschitz_bound   the operator-norm bound, from the input to the outputs in the l1 norm
//   active_knots      over all splines, the slopes whose magnitude is above their threshold
//
// all of the net as it evaluates. Examples have `features` numbers.
std::unique_ptr<Model> WithSplineReport(const ParameterStore& store, int64_t features, std::unique_ptr<Model> network);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_SPLINE_MODEL_H_
