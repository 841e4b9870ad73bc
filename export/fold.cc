#include "bitgrad/export/fold.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

Quantizer InputQuantizer(const Tape::Node& node) {
  const auto parsed = ParseQuantizer(node.descriptor.Get<std::string>("input_quantizer", "identity"));
  return parsed.ok() ? *parsed : Quantizer();
}

bool IsProduct(const Tape::Node& node) { return node.descriptor.op == "linear" || node.descriptor.op == "conv2d"; }

// Whether `node` reads `value` as the input of a linear or conv2d op that binarizes it by a fixed rule.
bool BinarizesInput(const Tape::Node& node, int value, Quantizer* quantizer) {
  if (!IsProduct(node) || node.inputs[0] != value || node.inputs[1] == value) return false;
  *quantizer = InputQuantizer(node);
  return quantizer->encoding().kind == EncodingKind::kBinary && quantizer->statistic() == Statistic::kNone &&
         !quantizer->info().stochastic;
}

bool IsUnary(const Tape::Node& node) { return node.descriptor.Get<int64_t>("unary", 0) != 0; }

bool IsArithmetic(const Tape::Node& node) {
  const absl::string_view op = node.descriptor.op;
  return op == "add" || op == "sub" || op == "mul";
}

Binary ArithmeticOf(const Tape::Node& node) {
  return node.descriptor.op == "add" ? Binary::kAdd : node.descriptor.op == "sub" ? Binary::kSub : Binary::kMul;
}

// Whether the op is a monotone function of each element of `value`, with constants that depend on the column alone.
bool IsMonotone(const TapeGraph& graph, const Tape::Node& node, int value) {
  if (node.inputs[0] != value) return false;
  for (size_t i = 1; i < node.inputs.size(); ++i) {
    if (!graph.is_constant(node.inputs[i])) return false;
  }
  if (node.descriptor.op == "batch_norm") return true;
  if (IsArithmetic(node)) {
    // The constant has one number per column, and not the shape of the whole batch.
    return graph.node(node.inputs[1]).shape == Shape({node.shape.cols()}) &&
           (node.shape.rank() == 2 || node.shape.rank() == 4);
  }
  return IsUnary(node) && node.descriptor.Get<double>("parameter", 0) >= 0;
}

// Runs one op of the chain on a row x [1, n], in place.
void Apply(ExecContext& context, const TapeGraph& graph, const Tape::Node& node, Tensor& x) {
  const Kernels& kernels = KernelsFor(context.device());
  const auto constant = [&](int i) { return graph.constant(node.inputs[i]).data<float>(); };
  const int64_t n = x.num_elements();
  if (node.descriptor.op == "batch_norm") {
    kernels.batch_norm_eval(context, x.matrix<float>(), constant(1), constant(2), constant(3), constant(4),
                            x.mutable_matrix<float>());
  } else if (IsArithmetic(node)) {
    kernels.binary_forward(context, ArithmeticOf(node), x.matrix<float>(), {constant(1), 1, n},
                           x.mutable_matrix<float>());
  } else {
    kernels.unary_forward(context, static_cast<Unary>(node.descriptor.Get<int64_t>("unary", 0)),
                          static_cast<float>(node.descriptor.Get<double>("parameter", 0)), x.data<float>(),
                          x.mutable_data<float>(), n);
  }
}

}  // namespace

FoldChain FindFoldChain(const TapeGraph& graph, int product) {
  FoldChain chain;
  const bool is_conv = graph.node(product).descriptor.op == "conv2d";
  int value = product;
  while (value != graph.output() && !graph.consumers(value).empty()) {
    const auto consumers = graph.consumers(value);
    if (std::all_of(consumers.begin(), consumers.end(), [&](int consumer) {
          const Tape::Node& node = graph.node(consumer);
          // Convolutions read bits with an example per row, linear ops bits along the last dimension.
          const bool fits = graph.node(value).shape.rank() == 2 || (node.descriptor.op == "conv2d") == is_conv;
          return fits && BinarizesInput(node, value, &chain.quantizer);
        })) {
      chain.folds = true;
      return chain;
    }
    if (consumers.size() != 1 || chain.reshape >= 0) break;
    const int next = consumers[0];
    const Tape::Node& node = graph.node(next);
    if (is_conv && node.descriptor.op == "max_pool" && chain.pool < 0) {
      chain.pool = next;
      chain.pool_is_first = value == product;
    } else if (is_conv && node.descriptor.op == "reshape") {
      chain.reshape = next;
    } else if ((chain.pool >= 0 && !chain.pool_is_first) || !IsMonotone(graph, node, value)) {
      break;
    }
    value = next;
    chain.nodes.push_back(value);
  }
  return FoldChain();
}

absl::StatusOr<Thresholds> FoldThresholds(ExecContext& context, const TapeGraph& graph, int product,
                                          const FoldChain& chain, float scale, int32_t limit) {
  const int64_t n = graph.node(product).shape.cols();
  const Kernels& kernels = KernelsFor(context.device());
  Tensor x({1, n}, DType::kFloat32);
  BitMatrix bits(1, n);
  const auto bits_of_sums = [&](absl::Span<const int32_t> sums, absl::Span<uint8_t> out) -> absl::Status {
    std::copy(sums.begin(), sums.end(), x.mutable_data<float>());
    kernels.scale_f32(context, scale, x.data<float>(), /*accumulate=*/false, x.mutable_data<float>(), n);
    for (int node : chain.nodes) {
      if (node == chain.pool || node == chain.reshape) continue;
      Apply(context, graph, graph.node(node), x);
      for (float value : x.span<float>()) {
        if (!std::isfinite(value)) {
          return absl::InvalidArgumentError(
              absl::StrCat("freeze: layer '", graph.node(node).layer, "': ", graph.node(node).descriptor.op,
                           " gives a NaN or an infinity; the parameters are damaged or training diverged"));
        }
      }
    }
    kernels.quantize_bits(context, chain.quantizer, x.matrix<float>(), nullptr, RngStream(), bits.mutable_view(),
                          BitMatrixView());
    for (int64_t j = 0; j < n; ++j) out[j] = bits.view().bit(0, j);
    return context.status();
  };
  return FindThresholds(n, 1, limit, bits_of_sums);
}

}  // namespace bitgrad
