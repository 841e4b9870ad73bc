#include "bitgrad/export/fold_thresholds.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/product_scale.h"
#include "bitgrad/export/program_quantizer.h"
#include "bitgrad/export/threshold.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/quantizer_on_device.h"

namespace bitgrad {
namespace {

using program::Program;
using program::Uses;
using program::Value;

// The operations between exact sums and the quantizers that read their result, in order.
struct Chain {
  int source = -1;  // of the sums: a linear, conv2d or average_pool
  std::vector<int> nodes;
  int pool = -1;  // the max_pool among the nodes
  bool pool_is_first = false;
  int reshape = -1;             // the reshape among the nodes
  std::vector<int> quantizers;  // all that read the last of the nodes
};

// Whether value i is of sums that are exact integers, that a kernel computes as such, and that all have one scale for
// each output.
bool IsExact(const Program& program, int i) {
  if (const auto* pool = program.value(i).as<program::AveragePool>()) {
    // A window at a border has fewer elements than the others, and so another scale.
    const Value& x = program.operand(i, 0);
    return x.is_coded() && !x.is_known() && SumIsExact(x.encoding, pool->geometry) && pool->geometry.pad_height == 0 &&
           pool->geometry.pad_width == 0;
  }
  if (!program.is_product(i)) return false;
  const Value &x = program.operand(i, 0), &w = program.operand(i, 1);
  if (!x.is_coded() || x.is_known() || w.coded == nullptr) return false;
  if (const auto* conv = program.value(i).as<program::Conv2d>()) {
    // Where the float convolution is faster (groups of few channels), it is used, and its sums have no thresholds.
    if (ChooseConvKernel(x.encoding, w.encoding, conv->geometry) == ConvKernel::kFloat) return false;
  }
  return DotIsExact(x.encoding, w.encoding, w.coded->matrix.cols());
}

// Whether the operation is a monotone function of each element of `value`, with constants that depend on the column
// alone.
bool IsMonotone(const Program& program, int i, int value) {
  const Value& node = program.value(i);
  if (node.operands[0] != value) return false;
  for (size_t k = 1; k < node.operands.size(); ++k) {
    if (!program.is_constant(node.operands[k])) return false;
  }
  if (node.as<program::BatchNorm>() != nullptr) return true;
  if (node.as<program::BinaryOp>() != nullptr) {
    // The constant has one number per column, and not the shape of the whole batch.
    return node.operands.size() == 2 && program.operand(i, 1).shape == Shape({node.shape.cols()}) &&
           (node.shape.rank() == 2 || node.shape.rank() == 4);
  }
  if (const auto* round = node.as<program::Round>()) return round->format.kind == NumberFormatKind::kFixed;
  const auto* unary = node.as<program::UnaryOp>();
  return unary != nullptr && unary->parameter >= 0;
}

// Whether value i quantizes `value` into few enough codes, by what is fixed.
bool IsQuantizerOf(const Program& program, int i, int value, int max_levels) {
  const Value& node = program.value(i);
  if (node.operands.empty() || node.operands[0] != value || !node.is_coded() ||
      node.encoding.largest_stored() > max_levels) {
    return false;
  }
  if (const auto* steps = node.as<program::Steps>()) return steps->function->is_monotone();
  const auto* quantize = node.as<program::Quantize>();
  return quantize != nullptr && quantize->quantizer.info().monotone && QuantizerOf(program, i).ok();
}

std::optional<Chain> FindChain(const Program& program, const Uses& uses, int source, int max_levels) {
  Chain chain = {.source = source};
  const bool is_image = program.value(source).as<program::Linear>() == nullptr;
  int value = source;
  while (!program.is_output(value) && !uses.consumers(value).empty()) {
    const std::vector<int>& consumers = uses.consumers(value);
    if (std::all_of(consumers.begin(), consumers.end(),
                    [&](int consumer) { return IsQuantizerOf(program, consumer, value, max_levels); })) {
      chain.quantizers = consumers;
      return chain;
    }
    if (consumers.size() != 1 || chain.reshape >= 0) break;
    const int next = consumers[0];
    if (is_image && program.value(next).as<program::MaxPool>() != nullptr && chain.pool < 0) {
      chain.pool = next;
      chain.pool_is_first = value == source;
    } else if (program.value(next).as<program::Reshape>() != nullptr) {
      chain.reshape = next;
    } else if ((chain.pool >= 0 && !chain.pool_is_first) || !IsMonotone(program, next, value)) {
      break;
    }
    value = next;
    chain.nodes.push_back(value);
  }
  return std::nullopt;
}

// Runs a monotone operation of a chain on rows x [m, n], in place.
void Apply(ExecContext& context, const Program& program, int i, Tensor& x) {
  const Kernels& kernels = KernelsFor(context.device());
  const Value& node = program.value(i);
  const auto constant = [&](int k) { return program.operand(i, k).floats.data<float>(); };
  const ConstMatrixView<float> in = x.matrix<float>();
  const MatrixView<float> out = x.mutable_matrix<float>();
  if (node.as<program::BatchNorm>() != nullptr) {
    kernels.batch_norm_eval(context, in, constant(1), constant(2), constant(3), constant(4), out);
  } else if (const auto* binary = node.as<program::BinaryOp>()) {
    kernels.binary_forward(context, binary->op, in, {constant(1), in.rows, in.cols, 0}, out);
  } else if (const auto* unary = node.as<program::UnaryOp>()) {
    kernels.unary_forward(context, unary->op, unary->parameter, in.data, out.data, in.size());
  } else if (const auto* round = node.as<program::Round>()) {
    const NumberFormat& format = round->format;
    kernels.round_numbers(context, {.kind = format.kind, .bits = format.bits, .fixed_range = format.range}, in.data,
                          out.data, in.size());
  }
}

// What exact sums are made to: float(sum) * scale, with |sum| <= limit.
struct Sums {
  int32_t limit;
  PackedScale scale;
};

Sums SumsOf(const Program& program, int i) {
  const Value& x = program.operand(i, 0);
  if (const auto* pool = program.value(i).as<program::AveragePool>()) {
    const int64_t window = pool->geometry.kernel_height * pool->geometry.kernel_width;
    return {.limit = static_cast<int32_t>(window * x.encoding.max_code()),
            .scale = {.scale = x.scale / static_cast<float>(window), .scales = {}}};
  }
  const Value& w = program.operand(i, 1);
  return {.limit = static_cast<int32_t>(w.coded->matrix.cols() * x.encoding.max_code() * w.encoding.max_code()),
          .scale = ScaleOfProduct(program, i)};
}

// The stored codes that a quantizer makes of rows x [m, n].
using StoredCodes = std::function<void(ExecContext& context, const Tensor& x, absl::Span<uint8_t> stored)>;

StoredCodes CodesBySteps(const Value& value) {
  return [&value](ExecContext&, const Tensor& x, absl::Span<uint8_t> stored) {
    const StepFunction& f = *value.as<program::Steps>()->function;
    const absl::Span<const float> rows = x.span<float>();
    const int64_t n = x.shape().cols();
    for (size_t i = 0; i < stored.size(); ++i) {
      const int64_t j = static_cast<int64_t>(i) % n;
      int k = 0;
      while (k < f.steps && rows[i] >= f.limit(k, j)) ++k;
      stored[i] = static_cast<uint8_t>(value.encoding.stored(std::lround(f.value(k, j) / value.scale)));
    }
  };
}

absl::StatusOr<StoredCodes> CodesOf(const Program& program, int quantize, ExecContext& context) {
  const Value& value = program.value(quantize);
  if (value.as<program::Steps>() != nullptr) return CodesBySteps(value);
  BITGRAD_ASSIGN_OR_RETURN(const PackedQuantizer packed, QuantizerOf(program, quantize));
  const auto quantizer = std::make_shared<const QuantizerOnDevice>(packed, context);
  return [quantizer, encoding = value.encoding](ExecContext& on, const Tensor& x, absl::Span<uint8_t> stored) {
    Tensor codes(x.shape(), DType::kFloat32), c(x.shape(), DType::kUint8);
    quantizer->Codes(on, x.matrix<float>(), codes.mutable_matrix<float>());
    KernelsFor(on.device()).pack_codes(on, encoding, codes.matrix<float>(), c.mutable_matrix<uint8_t>());
    std::memcpy(stored.data(), c.data<uint8_t>(), stored.size());
  };
}

// The thresholds for one of the quantizers.
absl::StatusOr<Thresholds> ThresholdsOf(ExecContext& context, const Program& program, const Chain& chain,
                                        int quantize) {
  const int64_t n = program.value(chain.source).shape.cols();
  const int levels = static_cast<int>(program.value(quantize).encoding.largest_stored());
  const Kernels& kernels = KernelsFor(context.device());
  BITGRAD_ASSIGN_OR_RETURN(const StoredCodes stored_codes, CodesOf(program, quantize, context));
  const Sums all = SumsOf(program, chain.source);
  Tensor y({levels, n}, DType::kFloat32);
  const auto codes_of_sums = [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> out) -> absl::Status {
    std::copy(sums.begin(), sums.end(), y.mutable_data<float>());
    kernels.scale_columns(context, all.scale.view(), y.matrix<float>(), y.mutable_matrix<float>());
    for (const int node : chain.nodes) {
      if (node == chain.pool || node == chain.reshape) continue;
      Apply(context, program, node, y);
      for (const float value : y.span<float>()) {
        if (std::isfinite(value)) continue;
        return absl::InvalidArgumentError(
            absl::StrCat("layer '", program.value(node).layer, "': ", program.value(node).op,
                         " gives a NaN or an infinity; the parameters are damaged or training diverged"));
      }
    }
    stored_codes(context, y, out);
    return context.status();
  };
  return FindThresholds(n, levels, all.limit, codes_of_sums);
}

bool AreEqual(const Thresholds& a, const Thresholds& b) {
  return a.levels == b.levels && a.threshold == b.threshold && a.flip == b.flip;
}

// A value of the same operation, without operands.
Value Renewed(const Value& value) {
  return {.operation = value.operation, .operands = {}, .op = value.op, .layer = value.layer, .shape = value.shape};
}

// Replaces chain and quantizers by the comparison, the pool and the reshape.
void Rewrite(const Chain& chain, Thresholds thresholds, Program& program) {
  const int quantize = *std::min_element(chain.quantizers.begin(), chain.quantizers.end());
  const Encoding encoding = program.value(quantize).encoding;
  const float scale = program.value(quantize).scale;
  // The new values take the places of old ones, in their order; the last one that of the quantizer.
  std::vector<Value> values;
  std::vector<uint8_t> pool_flips;
  if (chain.pool >= 0 && chain.pool_is_first) {
    pool_flips = thresholds.flip;
    std::fill(thresholds.flip.begin(), thresholds.flip.end(), uint8_t{0});
  }
  const Value& source = program.value(chain.source);
  values.push_back({.operation = program::Compare{std::move(thresholds)},
                    .operands = {},
                    .op = "compare",
                    .layer = source.layer,
                    .shape = source.shape});
  if (chain.pool >= 0) {
    values.push_back(Renewed(program.value(chain.pool)));
    std::get<program::MaxPool>(values.back().operation).flips = std::move(pool_flips);
  }
  if (chain.reshape >= 0) values.push_back(Renewed(program.value(chain.reshape)));
  std::vector<int> places = chain.nodes;
  places.push_back(quantize);
  places.erase(places.begin(), places.end() - static_cast<int64_t>(values.size()));
  int operand = chain.source;
  for (size_t k = 0; k < values.size(); ++k) {
    values[k].operands = {operand};
    values[k].encoding = encoding;
    values[k].scale = scale;
    operand = places[k];
    program.value(operand) = std::move(values[k]);
  }
  for (const int other : chain.quantizers) {
    if (other != quantize) program.Redirect(other, quantize);
  }
}

}  // namespace

absl::Status FoldThresholds(ExecContext& context, int max_levels, Program& program) {
  for (int i = 0; i < program.size(); ++i) {
    // A rewritten chain ends before the sums that read it.
    const Uses uses(program);
    if (!uses.is_used(i) || !IsExact(program, i)) continue;
    const std::optional<Chain> chain = FindChain(program, uses, i, max_levels);
    if (!chain.has_value()) continue;
    std::optional<Thresholds> thresholds;
    bool agree = true;
    for (const int quantize : chain->quantizers) {
      BITGRAD_ASSIGN_OR_RETURN(Thresholds found, ThresholdsOf(context, program, *chain, quantize));
      agree &= !thresholds.has_value() || AreEqual(*thresholds, found);
      const Value &first = program.value(chain->quantizers[0]), &value = program.value(quantize);
      agree &= first.encoding == value.encoding && first.scale == value.scale;
      thresholds = std::move(found);
    }
    if (agree) Rewrite(*chain, *std::move(thresholds), program);
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
