// UpdateRule: the formula by which an optimizer changes a parameter. What is common to all formulas (the norm of the
// gradients, clipping, weight decay, the Glorot scale, bounds, state, reports) is Optimizer's; a rule says which state
// it keeps for each element, how the learning rate enters at step t, and which kernel computes it.
//
// To add a rule: a pair of files like adamax.h/.cc, one line in optimizers.cc, and a kernel (docs/adding_an_op.md).

#ifndef BITGRAD_OPTIM_UPDATE_RULE_H_
#define BITGRAD_OPTIM_UPDATE_RULE_H_

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

class UpdateRule {
 public:
  struct Traits {
    const char* name;                // in the table and in the names of states
    std::vector<const char*> slots;  // states per parameter, float32 of its shape, 0 at first; two at most
    int glorot_power = 0;            // the Glorot scale of a step is GlorotScale()^glorot_power
    bool rounds_glorot = false;      // to the nearest power of two: AP2(GlorotScale()^glorot_power)
    double most_learning_rate = std::numeric_limits<double>::infinity();
    // The rule keeps weights at -1 and +1, so that only binary weights can be trained with it. Weight decay and bounds
    // have no meaning for them and do not apply.
    bool binary_weights_only = false;
    // The momentum that the kernel is given; 0 for rules that have none.
    double momentum = 0;
    // Whether the kernel can round what it computes and stores (Parameter::stored).
    bool rounds = false;
    // Whether UpdateRows() can be called: the rule changes nothing where the gradient is 0.
    bool updates_rows = false;
    // What Update() computes for each element: gradient, decay and rate, the rule's own formula, the new weight.
    ArithmeticCounts arithmetic;
  };

  UpdateRule(const UpdateRule&) = delete;
  UpdateRule& operator=(const UpdateRule&) = delete;
  virtual ~UpdateRule() = default;

  const Traits& traits() const { return traits_; }
  const char* name() const { return traits_.name; }

  // The rate that the kernel is given at step t = 1, 2, ... The learning rate has been rounded to float.
  virtual double Rate(double learning_rate, int64_t t) const = 0;
  // Calls the rule's kernel. slots[i] of a tensor is the state traits().slots[i]. `numbers`, `scalars` and `counts` lie
  // in the memory of the device.
  virtual void Update(ExecContext& context, const Kernels& kernels, const RuleNumbers* numbers,
                      const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts) const = 0;
  // The same for one tensor whose gradient is by rows (Parameter::gradient_rows): what Update() would change with the
  // gradient in the shape of `w`, to the same bits. Called only where the tensor has no decay, bounds, signs and
  // rounding. REQUIRES: traits().updates_rows.
  virtual void UpdateRows(ExecContext& /*context*/, const Kernels& /*kernels*/, const RuleNumbers* /*numbers*/,
                          const StepScalars* /*scalars*/, const int32_t* /*rows*/, ConstMatrixView<float> /*gradient*/,
                          float /*weight_scale*/, MatrixView<float> /*w*/, StepCounts* /*counts*/) const {}

 protected:
  explicit UpdateRule(Traits traits) : traits_(std::move(traits)) {}

 private:
  const Traits traits_;
};

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_UPDATE_RULE_H_
