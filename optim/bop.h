// Bop, the binary optimizer (Helwegen et al., "Latent Weights Do Not Exist", arXiv 1906.02107):
//
//   m = (1 - gamma) m + gamma g'                                         state: m
//   w = -w  where |m| > threshold and m has the sign of w, else w stays
//
// It trains binary weights only (Parameter::is_binary) and keeps them at -1 and +1: what other rules train as latent
// weights is not there. Initial values become -1 or +1 by their signs in the first step; the forward pass before it
// reads their signs as it always does. Weight decay, the Glorot scale and bounds do not apply.
//
// gamma, the adaptivity rate of the paper, is the rule's learning rate, in (0, 1]: so a schedule applies to it. The
// larger it is, and the smaller the threshold, the more weights flip. A batch norm after the layer and its parameters
// are trained by another rule (optimizer.h).

#ifndef BITGRAD_OPTIM_BOP_H_
#define BITGRAD_OPTIM_BOP_H_

#include <memory>

#include "absl/status/statusor.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/update_rule.h"

namespace bitgrad {

// The rule, for the table in optimizers.h. Its hyperparameter is threshold (tau of the paper), 1e-8 by default, >= 0.
absl::StatusOr<std::unique_ptr<UpdateRule>> MakeBopRule(const Hyperparameters& hyperparameters);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_BOP_H_
