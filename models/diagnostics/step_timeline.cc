#include "bitgrad/models/diagnostics/step_timeline.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace bitgrad {

double MonotonicSeconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int64_t OperationsOf(const ArithmeticCounts& counts) {
  return counts.float_multiplications + counts.float_additions + counts.integer_multiplications +
         counts.integer_additions + counts.shifts + counts.xnor_popcounts + counts.square_roots;
}

void StepTimeline::Begin(Tape& tape) {
  const double called = MonotonicSeconds();
  spans_.clear();
  counted_ = 0;
  peak_bytes_ = 0;
  begin_bytes_ = mark_bytes_ = static_cast<int64_t>(context_.allocator().live_bytes());
  tape.set_op_listener([this, tape = &tape](const OpEvent& event) {
    const double end = MonotonicSeconds();
    const Tape::Node& node = tape->nodes()[static_cast<size_t>(event.node)];
    const int64_t before = std::exchange(counted_, OperationsOf(tape->arithmetic()));
    Add({.phase = event.backward ? diagnostics::Part::BACKWARD : diagnostics::Part::FORWARD,
         .op = node.descriptor.op,
         .layer = node.layer,
         .node = event.node,
         .end = end,
         .operations = counted_ - before});
  });
  begin_ = mark_ = MonotonicSeconds();
  overhead_ = begin_ - called;
}

void StepTimeline::BeginUpdate() { mark_ = MonotonicSeconds(); }

void StepTimeline::EndUpdate() { Add({.phase = diagnostics::Part::UPDATE, .end = MonotonicSeconds()}); }

// Of the span, what follows from the time and the memory of the one before.
void StepTimeline::Add(OpSpan span) {
  const auto bytes = static_cast<int64_t>(context_.allocator().live_bytes());
  span.begin = mark_;
  span.held_bytes = bytes - mark_bytes_;
  span.live_bytes = bytes - begin_bytes_;
  peak_bytes_ = std::max(peak_bytes_, span.live_bytes);
  mark_bytes_ = bytes;
  const double end = span.end;
  spans_.push_back(std::move(span));
  mark_ = MonotonicSeconds();
  overhead_ += mark_ - end;
}

std::vector<diagnostics::Part> PartsOf(absl::Span<const OpSpan> spans) {
  std::vector<diagnostics::Part> parts;
  for (const OpSpan& span : spans) {
    auto part = std::find_if(parts.begin(), parts.end(), [&](const diagnostics::Part& known) {
      return known.phase() == span.phase && known.op() == span.op && known.layer() == span.layer;
    });
    if (part == parts.end()) {
      part = parts.emplace(part);
      part->set_phase(span.phase);
      part->set_op(std::string(span.op));
      part->set_layer(span.layer);
    }
    part->set_seconds(part->seconds() + span.seconds());
    part->set_held_bytes(part->held_bytes() + span.held_bytes);
  }
  return parts;
}

}  // namespace bitgrad
