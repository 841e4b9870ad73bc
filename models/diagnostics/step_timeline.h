// StepTimeline: when each op of a training step worked, forward and backward, and what it left in memory.
//
//   StepTimeline timeline(context);
//   timeline.Begin(tape);            // before anything is recorded
//   ...                              // forward and backward pass
//   timeline.BeginUpdate();
//   optimizer.Enqueue(parameters);
//   timeline.EndUpdate();
//   for (const OpSpan& span : timeline.spans()) ...
//
// Between two calls of the tape's listener (Tape::set_op_listener) exactly one op has worked. An op's span is all of
// that time, with what the layer around it did on the host; what the timeline itself takes belongs to no span. A value
// that is pending (graph/pending_value.h) is computed within the span of the op that reads it.
//
// Where nobody makes a timeline, nothing is measured.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_STEP_TIMELINE_H_
#define BITGRAD_MODELS_DIAGNOSTICS_STEP_TIMELINE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

// Seconds of a clock that never goes back; only differences mean something.
double MonotonicSeconds();

// Operations of all kinds: one for a multiplication, an addition, a one-bit multiply-accumulate, ...
int64_t OperationsOf(const ArithmeticCounts& counts);

// What one op did. The update of the weights is one span as well, without op, layer and node.
struct OpSpan {
  diagnostics::Part::Phase phase = diagnostics::Part::FORWARD;
  absl::string_view op;  // a string literal
  std::string layer;
  int32_t node = -1;          // of the tape
  double begin = 0, end = 0;  // MonotonicSeconds()
  int64_t held_bytes = 0;     // how much more of the context's pool was handed out after it than before it
  int64_t live_bytes = 0;     // what was handed out after it, beyond what was when the step began
  int64_t operations = 0;     // OperationsOf() what it computes

  double seconds() const { return end - begin; }
};

class StepTimeline {
 public:
  // REQUIRES: the context is of the CPU, where an op is done when it returns, and outlives this.
  explicit StepTimeline(ExecContext& context) : context_(context) {}

  // Begins a step, and forgets the one before. REQUIRES: this outlives the tape's forward and backward pass.
  void Begin(Tape& tape);
  // The update follows, from now on; then it is done. Its operations are not counted: only the optimizer knows them.
  void BeginUpdate();
  void EndUpdate();

  // Of the step that began last, in the order in which ops worked.
  absl::Span<const OpSpan> spans() const { return spans_; }
  double begin() const { return begin_; }
  // The most that was handed out after any of the spans, beyond what was when the step began.
  int64_t peak_bytes() const { return peak_bytes_; }
  // What the measuring itself has taken so far, which belongs to no span.
  double overhead_seconds() const { return overhead_; }

 private:
  void Add(OpSpan span);

  ExecContext& context_;
  std::vector<OpSpan> spans_;
  double begin_ = 0, mark_ = 0;
  int64_t begin_bytes_ = 0, mark_bytes_ = 0, peak_bytes_ = 0;
  int64_t counted_ = 0;  // operations of the step so far
  double overhead_ = 0;
};

// Sums of spans that have phase, layer and op in common, in the order in which they first ran.
std::vector<diagnostics::Part> PartsOf(absl::Span<const OpSpan> spans);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_STEP_TIMELINE_H_
