// The header of a packed model of a recorded program: what freezing and quantizing after training write alike.

#ifndef BITGRAD_EXPORT_PACKED_HEADER_H_
#define BITGRAD_EXPORT_PACKED_HEADER_H_

#include <cstdint>
#include <string>

#include "bitgrad/core/shape.h"
#include "bitgrad/export/program.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// How many numbers the float model has.
struct FloatSize {
  int64_t parameters = 0;  // trainable ones
  int64_t numbers = 0;     // with constants and statistics
};

// REQUIRES: constants have not been folded yet.
FloatSize FloatSizeOf(const program::Program& program);

struct ModelDescription {
  std::string name;
  std::string data_set;
  bool pixels = true;      // inputs are pixels scaled to [-1, 1] (data/normalize.h)
  int32_t tokens = 0;      // how many there are, where inputs are tokens
  int64_t time_steps = 1;  // of an example
};

// example: the shape of what was recorded, an input or a time step of one, with the batch.
void SetHeader(const ModelDescription& model, const FloatSize& size, const Shape& example, int64_t classes,
               packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_PACKED_HEADER_H_
