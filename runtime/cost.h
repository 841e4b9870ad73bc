// What a packed model costs, layer by layer: bytes, bits of weights and activations, multiply-accumulates by precision,
// kernel.
//
// Everything is computed from the header's description of the layers. In particular predicted_bytes comes from shapes
// and encodings and not from the file or its blob sizes, so comparing it with the bytes on disk checks both.

#ifndef BITGRAD_RUNTIME_COST_H_
#define BITGRAD_RUNTIME_COST_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bitgrad/core/shape.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct LayerCost {
  std::string layer;
  std::string op;           // "linear", "linear + threshold", "batch_norm", ...
  Shape example;            // of its value
  std::string input;        // encoding of the operand of a linear, conv2d or average_pool, "symmetric(8)"; else empty
  std::string weights;      // encoding of the weights; empty where there are none
  int64_t input_bits = 0;   // of each element of that operand: 32 for floats; 0 where there is none
  int64_t weight_bits = 0;  // of each weight, without padding; 0 where there are none
  int64_t parameters = 0;
  int64_t bytes = 0;  // in the file, padding included
  int64_t runs = 1;   // for one example (PackedModel::runs)
  // Multiply-accumulates for one example, in all of its time steps, as the kernel for a batch of one computes them: on
  // bits (one for each pair of bit planes), on bytes, and on floats.
  int64_t bit_macs = 0;
  int64_t integer_macs = 0;
  int64_t float_macs = 0;
  // What computes the product, for every batch size, or the average; and where it is a kernel of floats, why.
  std::string kernel;
  bool is_float = false;  // a linear or conv2d whose product runs on floats
};

struct ModelCost {
  std::vector<LayerCost> layers;  // one per instruction
  int64_t head_bytes = 0;         // preamble and header
  int64_t predicted_bytes = 0;
  int64_t float_layers = 0;  // linear and conv2d instructions whose product runs on floats
  // How many numbers of so many bits the model has: weights by their bits, everything else as 32.
  std::map<int64_t, int64_t> parameters_by_bits;
};

ModelCost CostOf(const PackedModel& model);

// The table of `inspect`: a line per layer, a line of totals, and one of the parameters by their bits.
std::string CostTable(const PackedModel& model, const ModelCost& cost);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_COST_H_
