// The memory of a training step, told before the first one: values, what is held for the backward pass, gradients and
// the kernels' scratch, as PoolAllocator::peak_bytes() will count them; on a GPU the batch's images, too. Parameters
// and the optimizer's state are not among them.
//
// A step's peak is no linear function of the batch size: weights' gradients, whose sizes do not depend on it, pile up
// while activations go, and which moment is the worst depends on the batch. But the memory of one moment is linear,
// except that the pool rounds blocks to size classes. So two steps with a few examples, in a pool of their own, tell
// for every op the most that was handed out while it worked; each of these is continued to the whole batch, and the
// largest is the peak:
//
//   peak = max over ops of m_1 + (m_2 - m_1) (R(batch) - R(b_1)) / (R(b_2) - R(b_1))
//
// with m_1 and m_2 an op's memory at b_1 and b_2 examples, and R(b) what all activations of b examples would take
// together, each rounded as the pool rounds it.
//
// Within 4 % for the built-in recipes on one and two threads. Scratch that stops growing with the batch is
// overestimated: up to a quarter too much was seen for an MLP with a batch of 1000 on 16 threads.

#ifndef BITGRAD_MODELS_TRAINING_STEP_MEMORY_H_
#define BITGRAD_MODELS_TRAINING_STEP_MEMORY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The peak in bytes of a step with `batch_size` examples of `features` numbers, in a context of these options.
// `parameters` are all that the model uses; whatever the result, they are afterwards what they were before, gradients
// and running statistics included. Errors are those of the model's ops. REQUIRES: other contexts have done their work
// on the parameters (ExecContext::Synchronize).
absl::StatusOr<int64_t> PredictStepMemory(const ExecContext::Options& options, Model& model, ParameterStore& parameters,
                                          recipe::Loss loss, int64_t features, int64_t batch_size);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_STEP_MEMORY_H_
