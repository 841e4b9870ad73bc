#include "bitgrad/models/layers/low_precision.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/ops/round.h"

namespace bitgrad {
namespace {

// The group of the numbers at the scope's path.
NumberGroup NewGroup(const Scope& scope, const NumberFormat& format, const RangeControl& control) {
  NumberGroup group = {.format = format};
  if (format.kind != NumberFormatKind::kDynamicFixed) return group;
  group.range = &scope.NewParameter("range", Shape(), Initializer::Constant(static_cast<float>(control.first_range)));
  group.overflows = &scope.NewParameter("overflows", {3}, Initializer::Constant(0));
  group.range->trainable = false;
  group.overflows->trainable = false;
  group.range->overflows = group.overflows;
  group.range->range_control = control;
  return group;
}

}  // namespace

RoundedParameter::RoundedParameter(const Scope& scope, const PrecisionOptions& options, Parameter& parameter)
    : parameter_(&parameter) {
  if (!options.rounds()) return;
  if (options.computation.kind != options.update.kind) {
    scope.ReportError(absl::StrCat("the formats of computation, ", ToString(options.computation), ", and of updates, ",
                                   ToString(options.update), ", have to be of one kind"));
    return;
  }
  parameter.stored_format = NewGroup(scope, options.update, options.control);
  parameter.step_format = NewGroup(scope / "update", options.computation, options.control);
  // Read with the range that the stored values have, which are those that are counted.
  value_ = {.format = options.computation, .range = parameter.stored_format.range};
  gradient_ = NewGroup(scope / "gradient", options.computation, options.control);
}

Var RoundedParameter::operator()(Tape& tape) const { return Round(tape.Use(*parameter_), value_, gradient_); }

RoundValues::RoundValues(const Scope& scope, const PrecisionOptions& options)
    : path_(scope.path()),
      value_(NewGroup(scope, options.computation, options.control)),
      gradient_(NewGroup(scope / "gradient", options.computation, options.control)) {}

Var RoundValues::operator()(const Var& x) {
  Tape* const tape = x.tape();
  if (tape == nullptr) return Var();
  Tape::LayerScope layer(*tape, path_);
  return Round(x, value_, gradient_);
}

}  // namespace bitgrad
