// What a packed model costs, layer by layer: bytes, bits per weight, multiply-accumulates by
// precision, kernel.
//
// Everything is computed from the header's description of the layers. In particular predicted_bytes comes from shapes
// and encodings and not from the file or its blob sizes, so comparing it with the bytes on disk checks both.

#ifndef BITGRAD_RUNTIME_COST_H_
#define BITGRAD_RUNTIME_COST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/shape.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct LayerCost {
  std::string layer;
  std::string op;           // "linear", "linear + threshold", "batch_norm", ...
  Shape example;            // of its value
  std::string input;        // encoding of the quantized input of a linear or conv2d, "symmetric(8)"; else empty
  std::string weights;      // encoding of the weights; empty where there are none
  int64_t weight_bits = 0;  // per weight, without padding; 0 where there are none
  int64_t parameters = 0;
  int64_t bytes = 0;  // in the file, padding included
  // Multiply-accumulates for one example, as the kernel for a batch of one computes them: on bits (one for each pair of
  // bit planes), on bytes, and on floats.
  int64_t bit_macs = 0;
  int64_t integer_macs = 0;
  int64_t float_macs = 0;
  std::string kernel;
};

struct ModelCost {
  std::vector<LayerCost> layers;  // one per instruction
  int64_t head_bytes = 0;         // preamble and header
  int64_t predicted_bytes = 0;
};

ModelCost CostOf(const PackedModel& model);

// The table of `inspect`: a line per layer and a line of totals.
std::string CostTable(const PackedModel& model, const ModelCost& cost);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_COST_H_
