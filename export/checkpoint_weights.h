// The weights of a checkpoint, out to a safetensors file (safetensors.h) and in from one.
//
// All parameters are exchanged: weights, biases, what batch norms and quantizers have learned, running statistics. The
// weight of a quantized layer is its latent, full-precision one. What training keeps beside them is not in the file.

#ifndef BITGRAD_EXPORT_CHECKPOINT_WEIGHTS_H_
#define BITGRAD_EXPORT_CHECKPOINT_WEIGHTS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/export/safetensors.h"
#include "bitgrad/export/tensor_names.h"
#include "bitgrad/models/training/checkpoint.h"

namespace bitgrad {

struct WeightsTaken {
  int64_t tensors = 0;
  int64_t bytes = 0;  // of the file
};

// Writes the checkpoint's parameters, in its order, with the names and layouts of `names`.
absl::StatusOr<WeightsTaken> TakeWeights(const Checkpoint& checkpoint, const TensorNames& names,
                                         const std::string& out);

struct BringOptions {
  TensorNames names;
  bool allow_extra = false;  // the file may have tensors that no parameter takes
};

struct WeightsBrought {
  int64_t tensors = 0;   // parameters of the checkpoint
  int64_t replaced = 0;  // those that have their values from the file
};

// Writes a copy of the checkpoint whose parameters have the file's values. What the checkpoint's own training has left
// goes with its weights: the copy stands before the first step, without epochs, metrics, optimizer's state and states
// of recurrent layers, in the first phase of its recipe. Recipe, data, vocabulary and what preprocessing has learned
// stay. So `evaluate` and `freeze` take it, and a run that is resumed from it begins with these weights.
//
// Errors, after none of which anything was written: what TensorNames and ReadFloats() refuse; a checkpoint without
// recipe, or of coordinate descent, which begins with random weights; a parameter that the file does not have, a tensor
// of the file that no parameter takes; another shape; a value outside of the parameter's bounds, as of a latent weight
// beyond its clip. Nothing is clipped or rounded.
absl::StatusOr<WeightsBrought> BringWeights(const Checkpoint& checkpoint, const SafetensorsFile& file,
                                            const BringOptions& options, const std::string& out);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_CHECKPOINT_WEIGHTS_H_
