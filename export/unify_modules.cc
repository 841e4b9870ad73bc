#include "bitgrad/export/unify_modules.h"

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

using program::Program;
using program::Uses;
using program::Value;
using Kind = UnifiedModule::Kind;

Shape ExampleOf(const Value& value) { return Shape(value.shape.dims().subspan(1)); }

// A module that still grows:
//   relu(shortcut + scale[o] * pool(sum[o]) + shift[o])
struct Pending {
  UnifiedModule module;
  std::vector<double> scale, shift;  // of a product, [outputs]
  std::optional<PoolGeometry> pool;
  std::string pool_layer;

  bool is_product() const { return module.kind == Kind::kProduct; }
  // Whether a factor or a term of each output can still be folded.
  bool folds() const { return is_product() && !module.relu && !module.has_shortcut(); }
};

class Unifier {
 public:
  explicit Unifier(const Program& program)
      : program_(program), uses_(program), pending_(static_cast<size_t>(program.size())) {}

  absl::StatusOr<std::vector<UnifiedModule>> Run() {
    for (int i = 0; i < program_.size(); ++i) {
      if (!uses_.is_used(i) || program_.is_constant(i)) continue;
      BITGRAD_RETURN_IF_ERROR(Visit(i));
      // What several ops read is quantized before them.
      const bool is_result = i == program_.result();
      if (uses_.consumers(i).size() != 1 || is_result) BITGRAD_RETURN_IF_ERROR(Finish(i, is_result).status());
    }
    if (!modules_.empty() && modules_.back().kind != Kind::kInput) return std::move(modules_);
    return absl::InvalidArgumentError("the net has no linear or conv2d layer; there is nothing to quantize");
  }

 private:
  // The input of the net, and what standardizes it before the first layer.
  struct InputChain {
    std::vector<float> mean, inv_std;
  };

  absl::Status Error(int i, absl::string_view what) const {
    const Value& value = program_.value(i);
    return absl::InvalidArgumentError(absl::StrCat("layer '", value.layer, "': op '", value.op, "' ", what));
  }

  // A module that begins with op i.
  UnifiedModule Module(Kind kind, int i, std::vector<int> inputs) const {
    const Value& value = program_.value(i);
    return {
        .kind = kind, .layer = value.layer, .ops = value.op, .inputs = std::move(inputs), .example = ExampleOf(value)};
  }

  bool is_pending(int i) const { return pending_[i] != nullptr; }
  int operand(int i, int k) const { return program_.value(i).operands[k]; }

  // The floats of a constant operand with one number for each of `count` outputs, or one for all.
  absl::StatusOr<std::vector<double>> Constants(int i, int k, int64_t count) const {
    const Value& value = program_.operand(i, k);
    if (value.coded != nullptr) return HasQuantizer(operand(i, k));
    const int64_t size = value.floats.is_null() ? 0 : value.floats.num_elements();
    if (size != count && size != 1) {
      return Error(i, absl::StrCat("has a constant of shape ", value.shape.ToString(), " for ", count,
                                   " outputs; constants have to have one number for each output"));
    }
    std::vector<double> numbers(static_cast<size_t>(count));
    for (int64_t o = 0; o < count; ++o) numbers[o] = value.floats.data<float>()[size == 1 ? 0 : o];
    return numbers;
  }

  absl::Status HasQuantizer(int i) const {
    const Value& value = program_.value(i);
    const auto* const constant = value.as<program::Constant>();
    return absl::FailedPreconditionError(
        absl::StrCat("layer '", value.layer, "'", constant ? absl::StrCat(": '", constant->name, "'") : "",
                     " has a quantizer, and what is quantized after training is a float net; freeze it instead: ",
                     "//export:freeze"));
  }

  // The module of value i; makes it if it is still growing.
  absl::StatusOr<int> Finish(int i, bool is_result = false) {
    if (const auto found = finished_.find(i); found != finished_.end()) return found->second;
    if (const auto chain = inputs_.find(i); chain != inputs_.end()) return FinishInput(i, chain->second);
    if (!is_pending(i)) return Error(i, "cannot be quantized");
    Pending& pending = *pending_[i];
    UnifiedModule& module = pending.module;
    if (pending.is_product()) {
      Fold(pending);
      module.keeps_sums = is_result && !module.relu && !pending.pool;
    }
    modules_.push_back(std::move(module));
    int made = static_cast<int>(modules_.size()) - 1;
    if (pending.pool) {
      UnifiedModule pool = {.kind = Kind::kMaxPool,
                            .layer = pending.pool_layer,
                            .ops = "max_pool",
                            .inputs = {made},
                            .example = ExampleOf(program_.value(i)),
                            .pool = *pending.pool,
                            .flips = modules_[made].flips};
      made = Add(std::move(pool));
    }
    pending_[i] = nullptr;
    return finished_[i] = made;
  }

  static void Fold(Pending& pending) {
    UnifiedModule& module = pending.module;
    for (int64_t o = 0; o < module.outputs; ++o) {
      for (int64_t k = 0; k < module.terms; ++k) {
        float& w = module.weight[o * module.terms + k];
        w = static_cast<float>(pending.scale[o] * w);
      }
    }
    if (std::any_of(pending.shift.begin(), pending.shift.end(), [](double s) { return s != 0; })) {
      module.bias.assign(pending.shift.begin(), pending.shift.end());
    }
    if (!pending.pool) return;
    if (std::none_of(pending.scale.begin(), pending.scale.end(), [](double s) { return s < 0; })) return;
    for (const double scale : pending.scale) module.flips.push_back(scale < 0 ? 1 : 0);
  }

  int Add(UnifiedModule module) {
    modules_.push_back(std::move(module));
    return static_cast<int>(modules_.size()) - 1;
  }

  absl::StatusOr<int> FinishInput(int i, const InputChain& chain) {
    const auto same = std::find_if(modules_.begin(), modules_.end(), [&](const UnifiedModule& module) {
      return module.kind == Kind::kInput && module.mean == chain.mean && module.inv_std == chain.inv_std;
    });
    int made = static_cast<int>(same - modules_.begin());
    if (same == modules_.end()) {
      if (chain.mean.size() != chain.inv_std.size()) return Error(i, "standardizes the input only in part");
      made = Add({.kind = Kind::kInput,
                  .layer = "input",
                  .ops = "input",
                  .example = input_example_,
                  .mean = chain.mean,
                  .inv_std = chain.inv_std});
    }
    const Shape example = ExampleOf(program_.value(i));
    if (example != modules_[made].example) {
      made = Add(Module(Kind::kReshape, i, {made}));
      modules_[made].ops = "reshape";
    }
    return finished_[i] = made;
  }

  // Value i is what value x was, and goes on growing.
  Pending& Continue(int i, int x, absl::string_view op) {
    pending_[i] = std::move(pending_[x]);
    if (!op.empty()) absl::StrAppend(&pending_[i]->module.ops, " + ", op);
    if (!pending_[i]->pool) pending_[i]->module.example = ExampleOf(program_.value(i));
    return *pending_[i];
  }

  absl::Status Visit(int i) {
    const Value& value = program_.value(i);
    if (value.as<program::Input>()) {
      if (value.shape.rank() < 2) return Error(i, "is a token; only nets of numbers can be quantized");
      input_example_ = ExampleOf(value);
      inputs_[i] = {};
      return absl::OkStatus();
    }
    if (value.as<program::Quantize>()) return HasQuantizer(i);
    if (value.as<program::Linear>() || value.as<program::Conv2d>()) return VisitProduct(i);
    if (value.as<program::BatchNorm>()) return VisitBatchNorm(i);
    if (value.as<program::BinaryOp>()) return VisitBinary(i);
    if (value.as<program::UnaryOp>()) return VisitUnary(i);
    if (value.as<program::MaxPool>() || value.as<program::AveragePool>()) return VisitPool(i);
    if (value.as<program::Reshape>()) return VisitReshape(i);
    if (value.as<program::Concat>()) return VisitConcat(i);
    return Error(i,
                 "cannot be unified; what can be quantized is made of linear, conv2d, batch_norm, relu, add, max_pool, "
                 "average_pool, reshape and concat. Take it out of the net, or freeze the net in float: "
                 "//export:freeze");
  }

  absl::Status VisitProduct(int i) {
    const Value& value = program_.value(i);
    const Value& weight = program_.operand(i, 1);
    if (weight.coded != nullptr || weight.is_coded()) return HasQuantizer(operand(i, 1));
    if (weight.floats.is_null())
      return Error(i, "multiplies two values of the net; only constant weights can be folded");
    BITGRAD_ASSIGN_OR_RETURN(const int x, Finish(operand(i, 0)));
    auto pending = std::make_unique<Pending>();
    UnifiedModule& module = pending->module;
    module = Module(Kind::kProduct, i, {x});
    if (const auto* conv = value.as<program::Conv2d>()) {
      module.is_conv = true;
      module.geometry = conv->geometry;
      module.geometry.batch = 1;
      const bool has_ones = module.geometry.has_border() && module.geometry.padding != Padding::kZero;
      if (has_ones) return Error(i, "has a border of +1 or -1; use padding: ZERO");
      module.outputs = module.geometry.filters;
      module.terms = module.geometry.patch_size();
      module.geometry.padding = Padding::kZero;
    } else {
      module.outputs = weight.shape.rows();
      module.terms = weight.shape.cols();
    }
    const absl::Span<const float> w = weight.floats.span<float>();
    module.weight.assign(w.begin(), w.end());
    pending->scale.assign(static_cast<size_t>(module.outputs), 1);
    pending->shift.assign(static_cast<size_t>(module.outputs), 0);
    pending_[i] = std::move(pending);
    return absl::OkStatus();
  }

  absl::Status VisitBatchNorm(int i) {
    const int x = operand(i, 0);
    if (!is_pending(x) || !pending_[x]->folds()) {
      return Error(i,
                   "follows no linear or conv2d that only it reads, so that it cannot be folded into weights; put it "
                   "between a product and its activation");
    }
    const int64_t n = pending_[x]->module.outputs;
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> mean, Constants(i, 1, n));
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> inv_std, Constants(i, 2, n));
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> gamma, Constants(i, 3, n));
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> beta, Constants(i, 4, n));
    Pending& pending = Continue(i, x, "batch_norm");
    for (int64_t o = 0; o < n; ++o) {
      const double factor = inv_std[o] * gamma[o];
      pending.scale[o] *= factor;
      pending.shift[o] = (pending.shift[o] - mean[o]) * factor + beta[o];
    }
    return absl::OkStatus();
  }

  absl::Status VisitBinary(int i) {
    const Binary op = program_.value(i).as<program::BinaryOp>()->op;
    const int a = operand(i, 0), b = operand(i, 1);
    if (!program_.is_constant(a) && !program_.is_constant(b)) {
      if (op == Binary::kAdd) return VisitAdd(i, a, b);
      return Error(i, "combines two values of the net, which only add does in integers; use add");
    }
    const int x = program_.is_constant(a) ? b : a, constant = program_.is_constant(a) ? 0 : 1;
    if (const auto chain = inputs_.find(x); chain != inputs_.end()) return VisitInput(i, x, constant, op);
    if (!is_pending(x) || !pending_[x]->folds()) {
      return Error(i, "has a constant that cannot be folded into the weights of a linear or conv2d before it");
    }
    const int64_t n = pending_[x]->module.outputs;
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> c, Constants(i, constant, n));
    Pending& pending = Continue(i, x, op == Binary::kMul ? "scale" : "bias");
    const bool negates = op == Binary::kSub && constant == 0;
    for (int64_t o = 0; o < n; ++o) {
      const double factor = op == Binary::kMul ? c[o] : negates ? -1.0 : 1.0;
      const double term = op == Binary::kMul ? 0.0 : op == Binary::kSub && !negates ? -c[o] : c[o];
      pending.scale[o] *= factor;
      pending.shift[o] = pending.shift[o] * factor + term;
    }
    return absl::OkStatus();
  }

  // What standardizes the input: x - mean, and then * inv_std.
  absl::Status VisitInput(int i, int x, int constant, Binary op) {
    InputChain chain = inputs_[x];
    const bool is_mean = op == Binary::kSub && constant == 1 && chain.mean.empty();
    const bool is_scale = op == Binary::kMul && chain.inv_std.empty() && !chain.mean.empty();
    const int64_t channels = program_.value(i).shape.cols();
    if (!is_mean && !is_scale) return Error(i, "changes the input in a way that is no standardization");
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<double> c, Constants(i, constant, channels));
    (is_mean ? chain.mean : chain.inv_std).assign(c.begin(), c.end());
    inputs_[i] = std::move(chain);
    return absl::OkStatus();
  }

  absl::Status VisitAdd(int i, int a, int b) {
    // The product that the other value becomes the shortcut of.
    const auto takes = [&](int x) { return is_pending(x) && pending_[x]->folds() && !pending_[x]->pool; };
    if (a == b || (!takes(a) && !takes(b))) {
      BITGRAD_ASSIGN_OR_RETURN(const int left, Finish(a));
      BITGRAD_ASSIGN_OR_RETURN(const int right, Finish(b));
      pending_[i] = std::make_unique<Pending>();
      pending_[i]->module = Module(Kind::kAdd, i, {left, right});
      return absl::OkStatus();
    }
    const int x = takes(a) ? a : b;
    BITGRAD_ASSIGN_OR_RETURN(const int shortcut, Finish(x == a ? b : a));
    Continue(i, x, "add").module.inputs.push_back(shortcut);
    return absl::OkStatus();
  }

  absl::Status VisitUnary(int i) {
    const int x = operand(i, 0);
    if (program_.value(i).as<program::UnaryOp>()->op != Unary::kRelu) {
      return Error(i, "cannot be computed by shifts; train the net with activation: \"relu\"");
    }
    if (is_pending(x)) {
      Continue(i, x, pending_[x]->module.relu ? "" : "relu").module.relu = true;
      return absl::OkStatus();
    }
    BITGRAD_ASSIGN_OR_RETURN(const int made, Finish(x));
    // Nothing changes where no value is negative.
    if (!IsNonnegative(made)) {
      return Error(i,
                   "follows no linear, conv2d or add that only it reads, so that it has none to be unified with; put "
                   "it behind one");
    }
    finished_[i] = made;
    return absl::OkStatus();
  }

  bool IsNonnegative(int m) const {
    const UnifiedModule& module = modules_[m];
    if (module.quantizes() && module.kind != Kind::kAveragePool) return module.relu;
    return module.kind != Kind::kInput &&
           std::all_of(module.inputs.begin(), module.inputs.end(), [&](int x) { return IsNonnegative(x); });
  }

  absl::Status VisitPool(int i) {
    const Value& value = program_.value(i);
    const int x = operand(i, 0);
    const auto* const max_pool = value.as<program::MaxPool>();
    PoolGeometry geometry = max_pool ? max_pool->geometry : value.as<program::AveragePool>()->geometry;
    const Shape image = ExampleOf(program_.operand(i, 0));
    if (image.rank() != 3) return Error(i, "pools what is no image");
    geometry.batch = 1;
    geometry.height = image.dim(0);
    geometry.width = image.dim(1);
    geometry.channels = image.dim(2);
    if (max_pool && is_pending(x) && pending_[x]->folds() && !pending_[x]->pool) {
      Pending& pending = Continue(i, x, "");
      // Continue() has set the example to that of the pool.
      pending.module.example = image;
      pending.pool = geometry;
      pending.pool_layer = value.layer;
      return absl::OkStatus();
    }
    if (max_pool == nullptr) {
      const int64_t window = geometry.kernel_height * geometry.kernel_width;
      if ((window & (window - 1)) != 0 || geometry.pad_height > 0 || geometry.pad_width > 0 || geometry.partial) {
        return Error(i, absl::StrCat("has windows of ", geometry.kernel_height, " x ", geometry.kernel_width,
                                     geometry.partial || geometry.pad_height > 0 || geometry.pad_width > 0
                                         ? " that may reach over the border"
                                         : " elements",
                                     ", by which no shift divides; use whole windows of a power of two"));
      }
    }
    BITGRAD_ASSIGN_OR_RETURN(const int made, Finish(x));
    finished_[i] = Add(Module(max_pool ? Kind::kMaxPool : Kind::kAveragePool, i, {made}));
    modules_.back().pool = geometry;
    return absl::OkStatus();
  }

  absl::Status VisitReshape(int i) {
    const int x = operand(i, 0);
    if (const auto chain = inputs_.find(x); chain != inputs_.end()) {
      inputs_[i] = InputChain(chain->second);
      return absl::OkStatus();
    }
    // Logits that only change their shape stay sums.
    const bool is_result = i == program_.result();
    BITGRAD_ASSIGN_OR_RETURN(const int made, Finish(x, is_result));
    finished_[i] = Add(Module(Kind::kReshape, i, {made}));
    return absl::OkStatus();
  }

  absl::Status VisitConcat(int i) {
    UnifiedModule concat = Module(Kind::kConcat, i, {});
    for (const int x : program_.value(i).operands) {
      if (program_.is_constant(x)) return Error(i, "has a constant among its operands, which has no codes");
      BITGRAD_ASSIGN_OR_RETURN(const int made, Finish(x));
      concat.inputs.push_back(made);
    }
    finished_[i] = Add(std::move(concat));
    return absl::OkStatus();
  }

  const Program& program_;
  const Uses uses_;
  std::vector<std::unique_ptr<Pending>> pending_;  // of each value that is still growing
  std::map<int, int> finished_;                    // the module of each value that is not
  std::map<int, InputChain> inputs_;
  Shape input_example_;
  std::vector<UnifiedModule> modules_;
};

}  // namespace

absl::StatusOr<std::vector<UnifiedModule>> UnifyModules(const Program& program) { return Unifier(program).Run(); }

}  // namespace bitgrad
