#include "bitgrad/ops/round.h"

#include <any>
#include <utility>
#include <vector>

#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {

Var Round(const Var& x, const NumberGroup& value, const NumberGroup& gradient) {
  OpRecorder op("round", {x});
  if (!op.ok()) return op.Failed();
  if (!value.rounds() && !(gradient.rounds() && op.training())) return x;
  Tensor y;
  if (value.rounds()) {
    y = op.NewTensor(x.shape());
    op.kernels().round_numbers(op.context(), value.rounding(op.training()), op.value(0).data<float>(),
                               y.mutable_data<float>(), y.num_elements());
  } else {
    y = op.value(0).Alias();
  }
  return op.Record(std::move(y), {{"format", std::any(value)}}, [gradient](Tape::GradientSink& sink) {
    if (!gradient.rounds()) {
      sink.Add(0, sink.TakeOutputGradient());
      return;
    }
    const Tensor& dy = sink.output_gradient();
    Tensor dx = NewTensor(sink, dy.shape());
    KernelsOf(sink).round_numbers(sink.context(), gradient.rounding(/*counts=*/true), dy.data<float>(),
                                  dx.mutable_data<float>(), dx.num_elements());
    sink.Add(0, std::move(dx));
  });
}

void AdjustRanges(ExecContext& context, absl::Span<Parameter* const> parameters) {
  const Kernels& kernels = KernelsFor(context.device());
  std::vector<ControlledRange> ranges;
  RangeControl control;
  const auto adjust = [&] {
    if (ranges.empty()) return;
    kernels.control_ranges(context, static_cast<float>(control.most_overflow), static_cast<float>(control.batches),
                           ranges);
    ranges.clear();
  };
  for (Parameter* const parameter : parameters) {
    if (parameter->overflows == nullptr) continue;
    if (parameter->range_control != control) adjust();
    control = parameter->range_control;
    ranges.push_back({parameter->value.mutable_data<float>(), parameter->overflows->value.mutable_data<float>()});
  }
  adjust();
}

}  // namespace bitgrad
