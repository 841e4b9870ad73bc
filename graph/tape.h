// Tape: define-by-run reverse-mode autodiff.
//
// Ops append nodes. The inputs of a node have smaller indices than the node itself, so Backward() is one loop from the
// end to the beginning: there is no recursion and there are no reference cycles. A Var is a handle {tape, index,
// generation}. The tape owns the values and drops a value as soon as no Var and no backward function holds it, so a
// step keeps only what its gradients need (for a binary layer: bits and masks).
//
// Errors are sticky: the first one (it names op, shapes and layer) is kept, later ops do nothing, and Backward(),
// Value() and status() return it. Whatever operands and options an op is given, it never ends the process.
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
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/graph/descriptor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/pending_value.h"
#include "bitgrad/graph/saved_value.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

enum class Mode {
  kTrain,  // batch statistics, dropout, stochastic quantizers, gradients
  kEval,   // running statistics, no randomness, no gradients
};

// What an op has counted on the device: how many of `total` elements had some property. "window": the activations of a
// layer that lay inside the window of its straight-through estimator.
struct CounterValue {
  std::string layer;
  absl::string_view name;  // a string literal
  int64_t count = 0;
  int64_t total = 0;
};

// Which op has just worked: the node that was recorded last, or the one whose backward function has run.
struct OpEvent {
  int32_t node;
  bool backward;
};

// A state (graph/state_store.h) that a tape has read, for exporters.
struct StateUse {
  std::string name;
  int32_t initial;    // the node with what the tape before has left
  int32_t next = -1;  // the node with what the next tape reads; -1: none
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

  // A constant on the context's device: no gradient flows into it. The tape aliases the tensor's buffer, so nobody may
  // write to it until Backward() has run. Ops compute in float32; int32 is for indices (ops/embedding.h).
  Var Input(const Tensor& value);
  // A leaf, of float32, whose gradient Gradient() returns after Backward().
  Var Differentiable(const Tensor& value);
  // A leaf bound to a parameter: Backward() adds to parameter.gradient. The same parameter twice is one node.
  Var Use(Parameter& parameter);

  // Runs backward from `loss` (one element). Gradients add up in the parameters over several tapes until the
  // optimizer takes them. Errors, after none of which any gradient was changed:
  //   - the tape is of an evaluation, has an error already, or has run backward already;
  //   - `loss` is not one number, or depends on no parameter;
  //   - a parameter was given another value, or was written to, since the tape used it, or an input was written to: the
  //     gradient would be that of no function (Tensor::Version);
  //   - a parameter's gradient from before is not float32 of the value's shape, or by rows (Parameter::gradient_rows),
  //     on the value's device.
  // A kernel that fails, or a backward function that adds a gradient of the wrong shape, is an error that leaves
  // gradients half done.
  absl::Status Backward(const Var& loss);

  // What State() reads, and where SetNextState() leaves values; null, as at first: states are zeros, and what is left
  // is dropped. Call it before anything is recorded. The store is of the tape's context and outlives the tape.
  void set_states(StateStore* states);
  // A constant [streams, width], float32: what the tape before has left under this name, zeros where nothing is or
  // after StateStore::Reset(). The op of its node is "state". An error where the store refuses the shape
  // (StateStore::Read), and where this tape has read the state already.
  Var State(absl::string_view name, const Shape& shape);
  // What the next tape reads, once StateStore::Commit() was called. The value is copied to the store now, on the
  // device, and in recorded work anew with each run. No gradient flows into it. An error where this tape has not read
  // the state, where the shape is not the one it was read with, and where the next state was set already.
  void SetNextState(absl::string_view name, const Var& next);
  // The states that the tape has read, in this order.
  absl::Span<const StateUse> states() const;

  // OK, or the first error of a recorded op, of Backward() or of a kernel.
  absl::Status status() const;
  // Keeps the error, with the current layer's name in front, unless there is an error already.
  void ReportError(const absl::Status& error);

  // A Var's value. A pending value (pending_value.h) is computed now. The pointer is valid while the Var lives, and
  // only until the next op is recorded or the tape is reset: Alias() the tensor to keep it longer.
  absl::StatusOr<const Tensor*> Value(const Var& var) const;
  // The gradient of a Differentiable() leaf after Backward(); NotFound if none arrived.
  absl::StatusOr<const Tensor*> Gradient(const Var& var) const;

  // With `check`, a value that has a NaN or an infinity is an error that names the op that made it, and its layer. This
  // costs a pass over each value, on the host; it is for finding out where a training diverged. Call it before anything
  // is recorded.
  void set_check_finite(bool check);

  // Calls `listener` after each op that is recorded and after each backward function that has run, so that between two
  // calls exactly one op has worked. For measurements: the listener may look at nodes() and values, and records
  // nothing.
  void set_op_listener(absl::AnyInvocable<void(const OpEvent& event)> listener);

  // Forgets all nodes, Vars and errors, and, in training, takes the next random step of the context. Memory for nodes
  // is kept for the next step.
  void Reset();

  // While it lives, errors, nodes and counters of the tape carry this layer's name:
  // Tape::LayerScope layer(tape, "hidden1"); (The layers themselves are models/layers/layer.h.)
  class LayerScope {
   public:
    LayerScope(Tape& tape, absl::string_view path);
    ~LayerScope();
    LayerScope(const LayerScope&) = delete;
    LayerScope& operator=(const LayerScope&) = delete;

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
    // The same, for an op that passes it on or changes it in place. It is unique unless other ops hold it, too.
    // output_gradient() is null afterwards.
    Tensor TakeOutputGradient() { return std::move(*output_gradient_); }
    // Whether the i-th input wants a gradient.
    bool wants(int input) const;
    // Adds `gradient`, float32 of the input's shape, to the i-th input's. Anything else, or an input that wants none,
    // is an error of the tape.
    void Add(int input, Tensor gradient);
    // A part of an input: the columns [begin, begin + cols) of the input seen as a matrix of `stride` columns.
    struct Part {
      int64_t rows, stride, begin, cols;
    };
    // Adds `gradient`, float32 of rows * cols elements, to a part of the i-th input's gradient. So all parts of one
    // input together take the memory of one gradient.
    void AddPart(int input, const Part& part, const Tensor& gradient);
    // Adds row i of `gradient`, float32 [n, cols], to row rows[i] of the i-th input's gradient, for all i < n with
    // rows[i] >= 0. The rows, int32 [n], are distinct apart from those that are -1, which have zeros. Where the input
    // is a parameter that has no gradient yet, it is kept as it is (Parameter::gradient_rows).
    void AddRows(int input, Tensor rows, Tensor gradient);
    ExecContext& context() const;
    // Counts arithmetic of the backward pass, for the node's layer.
    void Count(const ArithmeticCounts& counts);

   private:
    friend class Tape;
    GradientSink(Tape& tape, int32_t node, Tensor* output_gradient)
        : tape_(tape), node_(node), output_gradient_(output_gradient) {}
    // Whether the operand wants the gradient, and it is float32 on the device and `fits`; `what` says what does.
    absl::Status CheckGradient(int input, const Tensor& gradient, bool fits, absl::string_view what) const;
    Tape& tape_;
    int32_t node_;
    Tensor* output_gradient_;
  };
  using BackwardFunction = absl::AnyInvocable<void(GradientSink&)>;

  // What Backward() itself computes, on the device where the gradients are. The tape knows no device, so ops/ passes
  // these functions with each node.
  struct GradientArithmetic {
    // y += x; the tensors have one shape, y is not aliased.
    void (*add)(ExecContext& context, const Tensor& x, Tensor& y);
    // y = value everywhere.
    void (*fill)(ExecContext& context, float value, Tensor& y);
    // y += x; the matrices have one shape.
    void (*add_part)(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> y);
    // y[rows[i]] += x[i] for all i with rows[i] >= 0.
    void (*add_rows)(ExecContext& context, const Tensor& rows, ConstMatrixView<float> x, MatrixView<float> y);
  };

  // A node's value: floats, or what will make them when somebody reads them; and the codes of a value that is
  // quantized.
  struct NodeValue {
    Tensor value;  // null once dropped, and while it is pending
    std::shared_ptr<const PendingValue> pending;
    std::shared_ptr<const CodedTensor> coded;
  };

  struct Node : NodeValue {
    Shape shape;
    Tensor gradient;
    absl::InlinedVector<int32_t, 3> inputs;
    BackwardFunction backward;
    std::shared_ptr<const Recomputation> recompute;  // null where the value itself has to be saved
    OpDescriptor descriptor;
    std::string layer;
    Parameter* parameter = nullptr;
    int32_t handles = 0;  // living Vars
    bool requires_gradient = false;
  };

  // Appends a node. `backward` and `recompute` are kept only in training and if some input requires a gradient, until
  // Backward() has passed the node.
  Var Record(OpDescriptor descriptor, absl::Span<const Var> inputs, Tensor value, BackwardFunction backward,
             const GradientArithmetic* arithmetic, std::shared_ptr<const Recomputation> recompute = nullptr);
  // The same for a value of `shape` that is pending, coded, or both.
  Var Record(OpDescriptor descriptor, absl::Span<const Var> inputs, const Shape& shape, NodeValue value,
             BackwardFunction backward, const GradientArithmetic* arithmetic);
  // Keeps `result`, which was made of the leaf `leaf` and constants alone, for all ops of this tape that would make the
  // same: a weight is quantized once, however often it is used. Results() are all that were kept; they live until the
  // next call. Backward() drops them.
  void KeepResult(const Var& leaf, const Var& result);
  absl::Span<const Var> Results(const Var& leaf) const;
  // The value of a node. A pending one is computed now.
  const Tensor& ValueOf(int32_t index);
  // The result of an op that has failed: a Var of this tape, of shape [0].
  Var Failed();
  // Whether the Var is of this tape and generation; otherwise reports the error.
  bool Check(const Var& var, absl::string_view op);

  // The stream of the next random op of this step.
  RngStream NextRandomStream(RngPurpose purpose);
  // Begins a CounterValue of the current layer and returns its counter, which lies in the memory of the context's
  // device and is 0. The caller's kernel adds to it how many of `total` elements have the property. `name` is a string
  // literal.
  int64_t* Counter(absl::string_view name, int64_t total);
  // All counters since the tape began or was reset. Reads them from the device, which means to wait for it, all of them
  // at once.
  const std::vector<CounterValue>& counters() const;
  // The two functions that do not wait for the device. unread_counters() are those that have not been read yet, with
  // `count` = 0; CopyCounters() lets the device copy them, in the same order, to its own memory at `counts`. REQUIRES:
  // room for all of them.
  absl::Span<const CounterValue> unread_counters() const;
  void CopyCounters(int64_t* counts) const;
  // Counts arithmetic of the forward pass, for the current layer.
  void Count(const ArithmeticCounts& counts);
  // The arithmetic of all ops so far, after Backward() also that of the backward pass, by layer, in the order in which
  // layers have counted first. What an optimizer does is not part of it.
  absl::Span<const LayerArithmetic> layer_arithmetic() const;
  // The sum over all layers.
  ArithmeticCounts arithmetic() const;
  // In training the value of a node may be pending; ValueOf() computes it.
  absl::Span<const Node> nodes() const;
  const std::string& layer() const;

 private:
  friend class Var;
  Var Append(Node node, absl::Span<const Var> inputs, BackwardFunction backward, const GradientArithmetic* arithmetic,
             std::shared_ptr<const Recomputation> recompute);
  // Outlives the Tape while Vars point to it, so that a late Var is an error and not a crash.
  struct Core;
  // Whether the value of a new leaf can be an operand: of a valid shape, and where kernels will read it. Reports an
  // error if not.
  bool CheckLeaf(absl::string_view what, const Tensor& value);
  // Whether the leaves up to node `last` are as they were when the tape took them, and gradients from before fit.
  absl::Status CheckLeaves(int32_t last) const;
  void AddGradient(int32_t index, Tensor gradient);
  // Makes a node's gradient one of the value's shape that can be written to: zeros where there is none yet.
  Tensor& OwnGradient(int32_t index);
  static Tensor& GradientOf(Node& node);
  static void Retain(Core* core, int32_t index, uint32_t generation);
  static void Release(Core* core, int32_t index, uint32_t generation);

  Core* core_;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_TAPE_H_
