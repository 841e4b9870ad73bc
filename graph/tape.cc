#include "bitgrad/graph/tape.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape_core.h"

namespace bitgrad {

namespace {

bool AllFinite(ExecContext& context, const Tensor& value) {
  if (value.dtype() != DType::kFloat32) return true;
  const Tensor host = ToHost(context, value);
  for (float x : host.span<float>()) {
    if (!std::isfinite(x)) return false;
  }
  return true;
}

}  // namespace

// ---- Var ----------------------------------------------------------------------------------------------

Var::Var(void* core, int32_t index, uint32_t generation) : core_(core), index_(index), generation_(generation) {
  Tape::Retain(static_cast<Tape::Core*>(core_), index_, generation_);
}
Var::Var(const Var& other) : Var(other.core_, other.index_, other.generation_) {}
Var::Var(Var&& other) noexcept
    : core_(std::exchange(other.core_, nullptr)), index_(other.index_), generation_(other.generation_) {}
Var& Var::operator=(Var other) noexcept {
  std::swap(core_, other.core_);
  std::swap(index_, other.index_);
  std::swap(generation_, other.generation_);
  return *this;
}
Var::~Var() { Tape::Release(static_cast<Tape::Core*>(core_), index_, generation_); }

Tape* Var::tape() const { return core_ == nullptr ? nullptr : static_cast<Tape::Core*>(core_)->tape; }

const Shape& Var::shape() const {
  static const Shape kNone({0});
  const auto* core = static_cast<Tape::Core*>(core_);
  return core != nullptr && core->valid(index_, generation_) ? core->nodes[index_].shape : kNone;
}

void Tape::Retain(Core* core, int32_t index, uint32_t generation) {
  if (core == nullptr) return;
  ++core->references;
  if (core->valid(index, generation)) ++core->nodes[index].handles;
}

void Tape::Release(Core* core, int32_t index, uint32_t generation) {
  if (core == nullptr) return;
  if (core->valid(index, generation)) {
    Node& node = core->nodes[index];
    // The constants of an evaluation stay, for exporters, which look at the whole tape afterwards.
    if (--node.handles == 0 && (core->mode == Mode::kTrain || !node.inputs.empty())) {
      static_cast<NodeValue&>(node) = {};
    }
  }
  if (--core->references == 0) delete core;
}

bool Tape::Core::IsChanged(const Leaf& leaf) const {
  const Node& node = nodes[leaf.node];
  if (leaf.version.WasWritten()) return true;
  return node.parameter != nullptr &&
         (!leaf.version.IsOf(node.parameter->value) || node.parameter->value.shape() != node.shape);
}

absl::Status Tape::Core::ChangedError(const Leaf& leaf) const {
  const Node& node = nodes[leaf.node];
  if (node.parameter != nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("parameter '", node.parameter->name,
                     "' was changed after the tape had used it; run the forward pass again, on a tape of its own"));
  }
  return absl::FailedPreconditionError(
      absl::StrCat("an input ", node.shape.ToString(),
                   " was written to after the tape had taken it; give the tape a tensor that stays as it is until "
                   "Backward() has run"));
}

// ---- Tape ---------------------------------------------------------------------------------------------

Tape::Tape(ExecContext& context, Mode mode) : core_(new Core(this, context, mode)) {
  if (training()) context.AdvanceStep();
}

Tape::~Tape() {
  core_->kept_results.clear();
  core_->tape = nullptr;
  core_->nodes.clear();
  core_->device_counters.clear();
  if (--core_->references == 0) delete core_;
}

ExecContext& Tape::context() const { return core_->context; }
Mode Tape::mode() const { return core_->mode; }
absl::Span<const Tape::Node> Tape::nodes() const { return core_->nodes; }
const std::string& Tape::layer() const { return core_->layer; }

LayerArithmetic& Tape::Core::ArithmeticOf(const std::string& layer) {
  for (auto known = arithmetic.rbegin(); known != arithmetic.rend(); ++known) {
    if (known->layer == layer) return *known;
  }
  arithmetic.push_back({.layer = layer});
  return arithmetic.back();
}

void Tape::Count(const ArithmeticCounts& counts) { core_->ArithmeticOf(core_->layer).forward += counts; }
absl::Span<const LayerArithmetic> Tape::layer_arithmetic() const { return core_->arithmetic; }

ArithmeticCounts Tape::arithmetic() const {
  ArithmeticCounts sum;
  for (const LayerArithmetic& layer : core_->arithmetic) sum += layer.total();
  return sum;
}

int64_t* Tape::Counter(absl::string_view name, int64_t total) {
  core_->counters.push_back({core_->layer, name, 0, total});
  const int64_t counter = core_->unread++;
  if (counter % Core::kCounters == 0) {
    core_->device_counters.push_back(std::make_unique<DeviceArray<int64_t>>(context(), Core::kCounters));
  }
  return core_->device_counters.back()->data() + counter % Core::kCounters;
}

const std::vector<CounterValue>& Tape::counters() const {
  auto counter = core_->counters.end() - core_->unread;
  for (const auto& counts : core_->device_counters) {
    for (const int64_t count : counts->Download()) {
      if (counter == core_->counters.end()) break;
      (counter++)->count = count;
    }
  }
  core_->device_counters.clear();
  core_->unread = 0;
  return core_->counters;
}

absl::Span<const CounterValue> Tape::unread_counters() const {
  return absl::MakeConstSpan(core_->counters).last(static_cast<size_t>(core_->unread));
}

void Tape::CopyCounters(int64_t* counts) const {
  int64_t left = core_->unread;
  for (const auto& counters : core_->device_counters) {
    const int64_t count = std::min(left, Core::kCounters);
    context().allocator().Copy(counts, counters->data(), static_cast<size_t>(count) * sizeof(int64_t));
    counts += count;
    left -= count;
  }
}

void Tape::Reset() {
  // The generation comes first: Vars that backward functions hold die with them, and must not touch nodes that die,
  // too.
  ++core_->generation;
  core_->kept_results.clear();
  core_->nodes.clear();
  core_->leaves.clear();
  core_->parameters.clear();
  core_->state_uses.clear();
  core_->counters.clear();
  core_->device_counters.clear();
  core_->unread = 0;
  core_->layer.clear();
  core_->status = absl::OkStatus();
  core_->backward_done = false;
  core_->random_streams = 0;
  core_->arithmetic.clear();
  if (training()) context().AdvanceStep();
}

RngStream Tape::NextRandomStream(RngPurpose purpose) {
  return {context().seed(), purpose, context().step(), core_->random_streams++, context().device_step()};
}

absl::Status Tape::status() const { return core_->status.ok() ? context().status() : core_->status; }

void Tape::ReportError(const absl::Status& error) {
  if (error.ok() || !core_->status.ok()) return;
  core_->status = core_->layer.empty()
                      ? error
                      : absl::Status(error.code(), absl::StrCat("layer '", core_->layer, "': ", error.message()));
}

Tape::LayerScope::LayerScope(Tape& tape, absl::string_view path)
    : tape_(tape), previous_(std::exchange(tape.core_->layer, std::string(path))) {
  MemoryUser::Set({"layer", &tape.core_->layer});
}
Tape::LayerScope::~LayerScope() {
  tape_.core_->layer = std::move(previous_);
  if (tape_.core_->layer.empty()) MemoryUser::Set({});
}

bool Tape::Check(const Var& var, absl::string_view op) {
  if (!core_->status.ok()) return false;
  if (var.core_ == core_ && core_->valid(var.index_, var.generation_)) return true;
  absl::string_view why = "is empty (default-constructed, or of a tape that is gone)";
  if (var.tape() == this) why = "is of a failed op or of a step before the tape's Reset()";
  if (var.tape() != nullptr && var.tape() != this) why = "belongs to another tape";
  ReportError(absl::InvalidArgumentError(absl::StrCat(op, ": an operand ", why)));
  return false;
}

bool Tape::CheckLeaf(absl::string_view what, const Tensor& value) {
  if (absl::Status invalid = value.shape().Validate(); !invalid.ok()) {
    ReportError(absl::InvalidArgumentError(absl::StrCat(what, ": ", invalid.message())));
    return false;
  }
  const Device device = context().allocator().device();
  if (value.device() == device) return true;
  ReportError(
      absl::InvalidArgumentError(absl::StrCat(what, ": the tensor is on ", Name(value.device()), ", the context on ",
                                              Name(device), "; move it with ToDevice (core/transfer.h)")));
  return false;
}

void Tape::set_check_finite(bool check) { core_->check_finite = check; }

void Tape::set_op_listener(absl::AnyInvocable<void(const OpEvent& event)> listener) {
  core_->op_listener = std::move(listener);
}

Var Tape::Failed() { return Var(core_, -1, core_->generation); }

Var Tape::Record(OpDescriptor descriptor, absl::Span<const Var> inputs, Tensor value, BackwardFunction backward,
                 const GradientArithmetic* arithmetic, std::shared_ptr<const Recomputation> recompute) {
  Node node;
  node.shape = value.shape();
  node.value = std::move(value);
  node.descriptor = std::move(descriptor);
  return Append(std::move(node), inputs, std::move(backward), arithmetic, std::move(recompute));
}

Var Tape::Record(OpDescriptor descriptor, absl::Span<const Var> inputs, const Shape& shape, NodeValue value,
                 BackwardFunction backward, const GradientArithmetic* arithmetic) {
  Node node;
  static_cast<NodeValue&>(node) = std::move(value);
  node.shape = shape;
  if (core_->check_finite && core_->status.ok() && node.pending != nullptr) {
    node.value = node.pending->Compute(context());
    node.pending = nullptr;
  }
  node.descriptor = std::move(descriptor);
  return Append(std::move(node), inputs, std::move(backward), arithmetic, nullptr);
}

void Tape::KeepResult(const Var& leaf, const Var& result) { core_->kept_results[leaf.index_].push_back(result); }

absl::Span<const Var> Tape::Results(const Var& leaf) const {
  const auto results = core_->kept_results.find(leaf.index_);
  return results == core_->kept_results.end() ? absl::Span<const Var>() : absl::MakeConstSpan(results->second);
}

Var Tape::Append(Node node, absl::Span<const Var> inputs, BackwardFunction backward,
                 const GradientArithmetic* arithmetic, std::shared_ptr<const Recomputation> recompute) {
  if (!core_->status.ok()) return Failed();
  node.layer = core_->layer;
  for (const Var& input : inputs) {
    if (!Check(input, node.descriptor.op)) return Failed();
    node.inputs.push_back(input.index_);
    node.requires_gradient |= core_->nodes[input.index_].requires_gradient;
  }
  if (training() && node.requires_gradient) {
    node.backward = std::move(backward);
    node.recompute = std::move(recompute);
  }
  if (core_->check_finite && !AllFinite(context(), node.value)) {
    ReportError(absl::OutOfRangeError(absl::StrCat(node.descriptor.op, ": the value has a NaN or an infinity")));
    return Failed();
  }
  if (arithmetic != nullptr) core_->gradient_arithmetic = arithmetic;
  core_->nodes.push_back(std::move(node));
  const auto index = static_cast<int32_t>(core_->nodes.size()) - 1;
  if (core_->op_listener != nullptr) core_->op_listener({.node = index, .backward = false});
  return Var(core_, index, core_->generation);
}

const Tensor& Tape::ValueOf(int32_t index) {
  Node& node = core_->nodes[index];
  if (node.pending != nullptr) {
    node.value = node.pending->Compute(context());
    node.pending = nullptr;
  }
  return node.value;
}

Var Tape::Input(const Tensor& value) {
  if (value.is_null()) {
    ReportError(absl::InvalidArgumentError("input: the tensor is null"));
    return Failed();
  }
  if (!CheckLeaf("input", value)) return Failed();
  Var var = Record({.op = "input"}, {}, value.Alias(), nullptr, nullptr);
  if (core_->status.ok()) core_->leaves.push_back({var.index_, Tensor::Version(value)});
  return var;
}

Var Tape::Differentiable(const Tensor& value) {
  if (!value.is_null() && value.dtype() != DType::kFloat32) {
    ReportError(absl::InvalidArgumentError(
        absl::StrCat("input: a tensor of ", Name(value.dtype()), " can have no gradient; use Input()")));
    return Failed();
  }
  Var var = Input(value);
  if (Check(var, "input")) core_->nodes[var.index_].requires_gradient = training();
  return var;
}

Var Tape::Use(Parameter& parameter) {
  if (!core_->status.ok()) return Failed();
  if (auto it = core_->parameters.find(&parameter); it != core_->parameters.end()) {
    const Core::Leaf& leaf = core_->leaves[it->second];
    if (core_->IsChanged(leaf)) {
      ReportError(core_->ChangedError(leaf));
      return Failed();
    }
    Node& node = core_->nodes[leaf.node];
    if (node.value.is_null()) node.value = parameter.value.Alias();
    return Var(core_, leaf.node, core_->generation);
  }
  if (parameter.value.is_null()) {
    ReportError(absl::FailedPreconditionError(absl::StrCat("parameter '", parameter.name, "' has no value")));
    return Failed();
  }
  if (!CheckLeaf(absl::StrCat("parameter '", parameter.name, "'"), parameter.value)) return Failed();
  if (core_->check_finite && !AllFinite(context(), parameter.value)) {
    ReportError(absl::OutOfRangeError(absl::StrCat("parameter '", parameter.name, "' has a NaN or an infinity")));
    return Failed();
  }
  Var var = Record({.op = "parameter"}, {}, parameter.value.Alias(), nullptr, nullptr);
  Node& node = core_->nodes[var.index_];
  node.parameter = &parameter;
  node.requires_gradient = training() && parameter.trainable;
  core_->parameters.emplace(&parameter, core_->leaves.size());
  core_->leaves.push_back({var.index_, Tensor::Version(parameter.value)});
  return var;
}

absl::StatusOr<const Tensor*> Tape::Value(const Var& var) const {
  if (absl::Status error = status(); !error.ok()) return error;
  Tape* const tape = const_cast<Tape*>(this);
  if (!tape->Check(var, "value")) return status();
  const Tensor* value = &tape->ValueOf(var.index_);
  if (absl::Status error = status(); !error.ok()) return error;
  return value;
}

absl::StatusOr<const Tensor*> Tape::Gradient(const Var& var) const {
  if (absl::Status error = status(); !error.ok()) return error;
  if (!const_cast<Tape*>(this)->Check(var, "gradient")) return status();
  const Tensor& gradient = core_->nodes[var.index_].gradient;
  if (gradient.is_null()) return absl::NotFoundError("no gradient arrived at this value");
  return &gradient;
}

}  // namespace bitgrad
