// The contents of a blob as plain numbers, for exporters and whoever else has to spell them out. Kernels read the
// planes of bits as they lie.

#ifndef BITGRAD_RUNTIME_BLOB_CODES_H_
#define BITGRAD_RUNTIME_BLOB_CODES_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// The codes (core/encoding.h) of all elements, row by row; of FLAGS 0 or 1. REQUIRES: the blob is of codes or FLAGS.
std::vector<int64_t> CodesOf(const PackedModel& model, int blob);

// The encoding of the codes that a threshold makes. REQUIRES: the model has been checked, so that kind and bits go
// together. (That of a Requantize: runtime/requantize.h)
Encoding EncodingOf(const packed::Threshold& threshold);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_BLOB_CODES_H_
