// Tape: define-by-run reverse-mode autodiff.
//
// Ops append nodes; inputs have smaller indices than outputs, so Backward() is one loop from the end to the
// beginning: no recursion, no reference cycles. A Var is a handle {tape, index, generation}. The tape owns
// the values and drops a value as soon as no Var and no backward function holds it, so a step keeps only
// what its gradients need (for a binary layer: bits and masks).
//
// Errors are sticky: the first one (op, shapes, layer) is kept, later ops become no-ops, and Backward(),
// Value() and status() return it. A wrong shape never ends the process.
//
//   Tape tape(context);
//   Var loss = SquaredHinge(model.Forward(tape.Input(batch.images)), batch.labels);
//   BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
//
// One tape serves one thread. The ExecContext and all Parameters used outlive it.

#ifndef BITGRAD_GRAPH_TAPE_H_
#define BITGRAD_GRAPH_TAPE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/descriptor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/pending_value.h"
#include "bitgrad/graph/saved_value.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

enum class Mode {
  kTrain,  // batch statistics, dropout, stochastic quantizers, gradients
  kEval,   // running statistics, no randomness, no gradients
};

// How many activations of a layer lay inside the window of its straight-through estimator.
struct WindowObservation {
  std::string layer;
  int64_t inside = 0;
  int64_t total = 0;
};

class Tape {
 public:
  // A training tape takes the next random step of the context.
  explicit Tape(ExecContext& context, Mode mode = Mode::kTrain);
  ~Tape();
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  ExecContext& context() const;
  Mode mode() const;
  bool training() const { return mode() == Mode::kTrain; }

  // A constant on the context's device: no gradient flows into it. The tape aliases the tensor's buffer.
  Var Input(const Tensor& value);
  // A leaf whose gradient Gradient() returns after Backward().
  Var Differentiable(const Tensor& value);
  // A leaf bound to a parameter: Backward() adds to parameter.gradient. The same parameter twice is one node.
  Var Use(Parameter& parameter);

  // Runs backward from `loss` (one element). Gradients add up in the parameters over several tapes until the
  // optimizer takes them. A second call on the same recording is an error.
  absl::Status Backward(const Var& loss);

  // OK, or the first error of a recorded op, of Backward() or of a kernel.
  absl::Status status() const;
  // Keeps the error unless there is one already, prefixed by the current layer.
  void ReportError(const absl::Status& error);

  // A Var's value, computed now if nobody has read it yet. The pointer holds while the Var lives, until the next op is
  // recorded or the tape is reset: Alias() the tensor to keep it longer.
  absl::StatusOr<const Tensor*> Value(const Var& var) const;
  // The gradient of a Differentiable() leaf after Backward(); NotFound if none arrived.
  absl::StatusOr<const Tensor*> Gradient(const Var& var) const;

  // With `check`, an op whose value has a NaN or an infinity is an error that names it and its layer. Costs a pass
  // over each value, on the host: for finding where a diverged training broke. To be set before anything is recorded.
  void set_check_finite(bool check);

  // Calls `listener` after each op that is recorded and after each backward function that has run: from one call to the
  // next a single op has worked. For measuring; it must not use the tape.
  void set_op_listener(absl::AnyInvocable<void()> listener);

  // Forgets all nodes, Vars and errors, keeps capacity, and, in training, takes the next random step.
  void Reset();

  // Names the layer for errors, descriptors and observations: Tape::Layer layer(tape, "hidden1");
  class Layer {
   public:
    Layer(Tape& tape, absl::string_view path);
    ~Layer();
    Layer(const Layer&) = delete;
    Layer& operator=(const Layer&) = delete;

   private:
    Tape& tape_;
    std::string previous_;
  };

  // ---- For ops (ops/op_recorder.h) and exporters ------------------------------------------------------

  // Adds to the gradient of an input during Backward().
  class GradientSink {
   public:
    // The gradient that has arrived at the node's output.
    const Tensor& output_gradient() const { return *output_gradient_; }
    // Whether the i-th input wants a gradient.
    bool wants(int input) const;
    // Adds `gradient` to the i-th input's; the shape is the input's. REQUIRES: wants(input).
    void Add(int input, Tensor gradient);
    ExecContext& context() const;
    // Counts arithmetic of the backward pass.
    void Count(const ArithmeticCounts& counts);

   private:
    friend class Tape;
    GradientSink(Tape& tape, int32_t node, const Tensor* output_gradient)
        : tape_(tape), node_(node), output_gradient_(output_gradient) {}
    Tape& tape_;
    int32_t node_;
    const Tensor* output_gradient_;
  };
  using BackwardFunction = absl::AnyInvocable<void(GradientSink&)>;

  // What Backward() itself computes, on whatever device the gradients are. The tape knows no device: ops/ gives
  // these with each node.
  struct GradientArithmetic {
    // y += x; the tensors have one shape, y is not aliased.
    void (*add)(ExecContext& context, const Tensor& x, Tensor& y);
    // y = value everywhere.
    void (*fill)(ExecContext& context, float value, Tensor& y);
  };

  struct Node {
    Tensor value;  // null once dropped, and while it is pending
    std::shared_ptr<const PendingValue> pending;
    Shape shape;
    Tensor gradient;
    absl::InlinedVector<int32_t, 3> inputs;
    BackwardFunction backward;
    std::shared_ptr<const RecomputeFunction> recompute;  // null where the value itself has to be saved
    OpDescriptor descriptor;
    std::string layer;
    Parameter* parameter = nullptr;
    int32_t handles = 0;  // living Vars
    bool requires_gradient = false;
  };

  // Appends a node. `backward` and `recompute` are kept only in training and if some input requires a gradient, until
  // Backward() has passed the node.
  Var Record(OpDescriptor descriptor, absl::Span<const Var> inputs, Tensor value, BackwardFunction backward,
             const GradientArithmetic* arithmetic, std::shared_ptr<const RecomputeFunction> recompute = nullptr);
  // The same for a value that is computed when it is read first.
  Var RecordPending(OpDescriptor descriptor, absl::Span<const Var> inputs, const Shape& shape,
                    std::shared_ptr<const PendingValue> pending, BackwardFunction backward,
                    const GradientArithmetic* arithmetic);
  // The value of a node, computed now if it was pending.
  const Tensor& ValueOf(int32_t index);
  // A Var that stands for the result of an op that failed.
  Var Failed();
  // Whether the Var is of this tape and generation; otherwise reports the error.
  bool Check(const Var& var, absl::string_view op);

  // The stream of the next random op of this step.
  RngStream NextRandomStream(RngPurpose purpose);
  // Of the current layer: the caller's kernel counts into the number returned, on the context's device. observations()
  // reads all numbers of a recording at once.
  int64_t* Observe(int64_t total);
  const std::vector<WindowObservation>& observations() const;
  // The same without waiting for the device: those whose numbers nobody has read yet (`inside` is 0), and the copying
  // of their numbers to `inside` on the device, in that order. REQUIRES: room for all.
  absl::Span<const WindowObservation> unread_observations() const;
  void CopyObservations(int64_t* inside) const;
  // Forward and, after Backward(), backward arithmetic.
  void Count(const ArithmeticCounts& counts);
  const ArithmeticCounts& arithmetic() const;
  // Values may be pending in training; ValueOf() computes them.
  absl::Span<const Node> nodes() const;
  const std::string& layer() const;

 private:
  friend class Var;
  Var Append(Node node, absl::Span<const Var> inputs, BackwardFunction backward, const GradientArithmetic* arithmetic,
             std::shared_ptr<const RecomputeFunction> recompute);
  // Outlives the Tape while Vars point to it, so that a late Var is an error and not a crash.
  struct Core;
  // Whether the value is where kernels will read it; reports an error if not.
  bool CheckDevice(absl::string_view what, const Tensor& value);
  void AddGradient(int32_t index, Tensor gradient);
  static void Retain(Core* core, int32_t index, uint32_t generation);
  static void Release(Core* core, int32_t index, uint32_t generation);

  Core* core_;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_TAPE_H_
