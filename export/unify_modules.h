// Unified modules: what a float net's program becomes before it is quantized to integers and shifts (arXiv 1901.02064).
// A module quantizes once, not once for each op:
//
//   product   linear or conv2d, with the scales, biases and batch norms behind it folded into its weights and bias
//             (in float), with a value added to it (a residual's shortcut), and with a ReLU
//   add       of two values, with a ReLU, where neither of them is a product that only the sum reads
//   average_pool   over windows of 2^k elements
//
// Others pass codes on: max_pool, reshape, concat. A max_pool between a product and its batch norm or ReLU is exchanged
// with them, which are monotone; where a folded factor is negative the pool takes the least element.

#ifndef BITGRAD_EXPORT_UNIFY_MODULES_H_
#define BITGRAD_EXPORT_UNIFY_MODULES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/export/program.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

struct UnifiedModule {
  enum class Kind { kInput, kProduct, kAdd, kMaxPool, kAveragePool, kReshape, kConcat };

  Kind kind = Kind::kInput;
  std::string layer;        // path, of the op that the module begins with
  std::string ops;          // "conv2d + batch_norm + relu"
  std::vector<int> inputs;  // modules before this one; of a product x and, where it has one, the shortcut
  Shape example;            // of the value, without the batch

  // Of the input: (x - mean[c]) * inv_std[c], c the place in the last dimension; empty: x itself.
  std::vector<float> mean, inv_std;

  // Of a product: relu(sum_k weight[o, k] x_k + bias[o] + shortcut).
  bool is_conv = false;
  ConvGeometry geometry;  // of a convolution
  int64_t outputs = 0, terms = 0;
  std::vector<float> weight;  // [outputs, terms]
  std::vector<float> bias;    // [outputs]; empty: none
  bool relu = false;          // of an add, too
  bool keeps_sums = false;    // it is the result, which is not quantized

  // Of a pool.
  PoolGeometry pool;
  // Of a product that only a max_pool reads, and of that pool: whether the pool takes the least element; empty:
  // nowhere.
  std::vector<uint8_t> flips;  // [channels]

  bool has_shortcut() const { return kind == Kind::kProduct && inputs.size() == 2; }
  // Whether the module makes new codes, so that it is one of those that are searched.
  bool quantizes() const { return kind == Kind::kProduct || kind == Kind::kAdd || kind == Kind::kAveragePool; }
};

// The modules in an order in which each comes after its inputs; the last one is the result. Constants of the program
// have been folded. InvalidArgument where something cannot be unified: the error names the layer, the op and what to
// do. FailedPrecondition where the net has quantizers.
absl::StatusOr<std::vector<UnifiedModule>> UnifyModules(const program::Program& program);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_UNIFY_MODULES_H_
