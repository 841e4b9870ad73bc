// What a bitgrad_model of the C API is.

#ifndef BITGRAD_RUNTIME_C_API_MODEL_H_
#define BITGRAD_RUNTIME_C_API_MODEL_H_

#include <memory>

#include "bitgrad/runtime/c_api.h"
#include "bitgrad/runtime/packed_model.h"

struct bitgrad_model {
  // Each session shares it, so that it outlives the handle.
  std::shared_ptr<const bitgrad::PackedModel> packed;
};

#endif  // BITGRAD_RUNTIME_C_API_MODEL_H_
