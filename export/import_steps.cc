#include "bitgrad/export/import_steps.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/quantizer_like.h"
#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {
namespace {

// What codes of 8 bits have; of limits for each column those of 4 bits, as thresholds of freeze.
constexpr int kMostSteps = 255, kMostStepsOfColumns = 15;

std::vector<float> ValuesOfCodes(const program::Value& value) {
  std::vector<float> values;
  for (int64_t c = 0; c <= value.encoding.largest_stored(); ++c) {
    values.push_back(static_cast<float>(value.encoding.code(c)) * value.scale);
  }
  return values;
}

// What x is of other values, or of itself.
std::vector<SteppedOf> FunctionsOf(const ImportGraph& graph, const Imported& x) {
  if (!x.stepped.empty() || x.id < 0 || !graph.value(x.id).is_coded()) return x.stepped;
  return {{x.id, StepsOfValues(ValuesOfCodes(graph.value(x.id)))}};
}

// What a chain makes of the operand of its link `first`.
std::optional<StepFunction> Composed(const std::vector<PointwiseStep>& chain, size_t first) {
  int64_t columns = 1;
  for (size_t k = first; k < chain.size(); ++k) columns = std::max(columns, chain[k].op->columns);
  return StepsOf(columns, columns == 1 ? kMostSteps : kMostStepsOfColumns, [&](float x, int64_t j) {
    for (size_t k = first; k < chain.size(); ++k) x = chain[k].op->apply(x, j);
    return x;
  });
}

// Value x, whose elements are codes * scale, with these codes.
absl::StatusOr<int> WithCodes(ImportGraph& graph, int x, const Encoding& encoding, float scale) {
  if (graph.value(x).encoding == encoding && graph.value(x).scale == scale) return x;
  return graph.AddCodesOf(x, encoding, scale);
}

// The function in floats: the mean of its first and last value plus or minus half of what is gained at each limit.
absl::StatusOr<int> AddGains(ImportGraph& graph, int x, const StepFunction& f) {
  const int64_t cols = graph.shape(x).cols();
  const auto row = [&](absl::FunctionRef<float(int64_t)> number) {
    std::vector<float> values;
    for (int64_t j = 0; j < cols; ++j) values.push_back(number(j));
    return values;
  };
  std::vector<float> offset = row([&](int64_t j) { return 0.5f * (f.value(0, j) + f.value(f.steps, j)); });
  int sum = -1;
  for (int l = 0; l < f.steps; ++l) {
    const auto gain = [&](int64_t j) { return f.value(l + 1, j) - f.value(l, j); };
    const int distance =
        graph.AddBinary(x, Binary::kAdd, {cols}, row([&](int64_t j) { return gain(j) == 0 ? 0.0f : -f.limit(l, j); }));
    BITGRAD_ASSIGN_OR_RETURN(const int sign, graph.AddQuantize(distance, {.quantizer = Sign()}));
    // The gain is twice this: sign goes from -1 to 1.
    const int part = graph.AddBinary(sign, Binary::kMul, {cols}, row([&](int64_t j) { return 0.5f * gain(j); }));
    sum = sum < 0 ? part : graph.AddBinary(sum, Binary::kAdd, part);
  }
  if (sum < 0) sum = graph.AddNumber(x, Binary::kMul, 0);
  return graph.AddBinary(sum, Binary::kAdd, {cols}, std::move(offset));
}

// The same, exactly where the values are codes times a scale; then with these codes.
absl::StatusOr<int> AddComparisons(ImportGraph& graph, int x, const StepFunction& f,
                                   const std::optional<StepCodes>& codes) {
  if (!codes.has_value()) return AddGains(graph, x, f);
  StepFunction whole = f;
  whole.values.assign(codes->codes.begin(), codes->codes.end());
  BITGRAD_ASSIGN_OR_RETURN(int sum, AddGains(graph, x, whole));
  if (codes->scale != 1) sum = graph.AddNumber(sum, Binary::kMul, codes->scale);
  return WithCodes(graph, sum, codes->encoding, codes->scale);
}

// For each channel whether f mirrors the codes; none if it does something else with one of them.
std::optional<std::vector<uint8_t>> FlipsOf(const program::Value& value, const StepFunction& f) {
  const std::vector<float> codes = ValuesOfCodes(value);
  const int last = static_cast<int>(codes.size()) - 1;
  if (f.steps != last) return std::nullopt;
  std::vector<uint8_t> flips;
  for (int64_t j = 0; j < value.shape.cols(); ++j) {
    bool same = true, mirrored = true;
    for (int c = 0; c <= last; ++c) {
      same &= f.value(c, j) == codes[c];
      mirrored &= f.value(c, j) == codes[last - c];
    }
    if (!same && !mirrored) return std::nullopt;
    flips.push_back(same ? 0 : 1);
  }
  return flips;
}

// The value itself, or the maximum with flips, where that is what x is of a value of codes. -1: it is not.
int AddFlips(ImportGraph& graph, const SteppedOf& stepped) {
  const program::Value& value = graph.value(stepped.of);
  if (!value.is_coded()) return -1;
  const std::optional<std::vector<uint8_t>> flips = FlipsOf(value, stepped.function);
  if (!flips.has_value()) return -1;
  if (std::all_of(flips->begin(), flips->end(), [](uint8_t flip) { return flip == 0; })) return stepped.of;
  const auto* pool = value.as<program::MaxPool>();
  if (pool == nullptr || !pool->flips.empty()) return -1;
  program::MaxPool flipped = *pool;
  flipped.flips = *flips;
  return graph.Add(std::move(flipped), "max_pool", {value.operands[0]}, Shape(value.shape));
}

// The value as Steps of `stepped.of`, with what takes their place where they do not fold. -1: it is not monotone.
absl::StatusOr<int> AddSteps(ImportGraph& graph, int made, const SteppedOf& stepped, const StepFunction& f,
                             const std::optional<PackedQuantizer>& alike, const StepCodes& codes) {
  if (!f.is_monotone() || graph.value(stepped.of).is_coded()) return -1;
  int otherwise = made;
  if (otherwise < 0 || !graph.value(otherwise).is_coded()) {
    if (alike.has_value()) {
      BITGRAD_ASSIGN_OR_RETURN(const int quantized, graph.AddQuantize(stepped.of, *alike));
      otherwise = graph.AddNumber(quantized, Binary::kMul, codes.scale / alike->value_scale());
    } else {
      BITGRAD_ASSIGN_OR_RETURN(otherwise, AddComparisons(graph, stepped.of, f, codes));
    }
  }
  program::Steps steps = {.function = std::make_shared<const StepFunction>(f)};
  BITGRAD_ASSIGN_OR_RETURN(steps.otherwise, WithCodes(graph, otherwise, codes.encoding, codes.scale));
  const int id = graph.Add(std::move(steps), "steps", {stepped.of}, Shape(graph.shape(stepped.of)));
  graph.program().value(id).encoding = codes.encoding;
  graph.program().value(id).scale = codes.scale;
  return id;
}

}  // namespace

bool IsStepped(const ImportGraph& graph, const Imported& x) { return !FunctionsOf(graph, x).empty(); }

void Follow(const ImportGraph& graph, const Imported& x, Pointwise op, bool has_steps, Imported& y) {
  const std::vector<SteppedOf> known = FunctionsOf(graph, x);
  for (const SteppedOf& stepped : known) {
    y.stepped.push_back({stepped.of, Mapped(stepped.function, op.columns, op.apply)});
  }
  if (!known.empty()) return;
  y.chain = x.chain;
  y.chain.push_back({x.id, std::make_shared<const Pointwise>(std::move(op))});
  if (!has_steps) return;
  for (size_t k = 0; k < y.chain.size(); ++k) {
    std::optional<StepFunction> f = Composed(y.chain, k);
    if (f.has_value()) y.stepped.push_back({y.chain[k].of, *std::move(f)});
  }
  y.chain.clear();
}

void FollowBoth(const ImportGraph& graph, const Imported& a, const Imported& b,
                absl::FunctionRef<float(float, float)> op, Imported& y) {
  for (const SteppedOf& of_a : FunctionsOf(graph, a)) {
    for (const SteppedOf& of_b : FunctionsOf(graph, b)) {
      if (of_a.of == of_b.of) y.stepped.push_back({of_a.of, Merged(of_a.function, of_b.function, op)});
    }
  }
}

absl::Status MakeValue(ImportGraph& graph, Imported& x) {
  if (x.stepped.empty()) return absl::OkStatus();
  const auto made = [&](int id) {
    x.id = id;
    x.chain.clear();
    x.stepped.clear();
    return absl::OkStatus();
  };
  std::vector<StepFunction> functions;
  std::vector<std::optional<StepCodes>> codes;
  std::vector<std::optional<PackedQuantizer>> alike;
  for (const SteppedOf& stepped : x.stepped) {
    functions.push_back(Reduced(stepped.function));
    codes.push_back(CodesOfSteps(functions.back()));
    alike.emplace_back();
    if (functions.back().columns != 1 || !codes.back().has_value() || graph.value(stepped.of).is_coded()) continue;
    alike.back() = QuantizerLike(graph.context(), functions.back(), *codes.back());
    if (!alike.back().has_value() || alike.back()->value_scale() != codes.back()->scale) continue;
    BITGRAD_ASSIGN_OR_RETURN(const int id, graph.AddQuantize(stepped.of, *alike.back()));
    return made(id);
  }
  for (const SteppedOf& stepped : x.stepped) {
    if (const int id = AddFlips(graph, stepped); id >= 0) return made(id);
  }
  for (size_t k = 0; k < functions.size(); ++k) {
    if (!codes[k].has_value()) continue;
    BITGRAD_ASSIGN_OR_RETURN(const int id, AddSteps(graph, x.id, x.stepped[k], functions[k], alike[k], *codes[k]));
    if (id >= 0) return made(id);
  }
  if (x.id < 0) {
    BITGRAD_ASSIGN_OR_RETURN(const int id, AddComparisons(graph, x.stepped[0].of, functions[0], codes[0]));
    return made(id);
  }
  if (!codes[0].has_value()) return made(x.id);
  BITGRAD_ASSIGN_OR_RETURN(const int id, WithCodes(graph, x.id, codes[0]->encoding, codes[0]->scale));
  return made(id);
}

void ReplaceSteps(program::Program& program) {
  for (int i = 0; i < program.size(); ++i) {
    if (const auto* steps = program.value(i).as<program::Steps>()) program.Redirect(i, steps->otherwise);
  }
}

}  // namespace bitgrad
