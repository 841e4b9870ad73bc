// Slice: a contiguous part of a tensor: of its first dimension (time steps, rows) or of its last one (features, gates).
// The gradient of x is dy at the part and zero elsewhere; the parts of one tensor cost one gradient tensor together.
//
// Errors: a tensor without that dimension, and a part that is not within it.

#ifndef BITGRAD_OPS_SLICE_H_
#define BITGRAD_OPS_SLICE_H_

#include <cstdint>

#include "bitgrad/graph/var.h"

namespace bitgrad {

// [n, ..] -> [size, ..]: y[i] = x[begin + i]. Descriptor: "slice" {begin, size}.
Var Slice(const Var& x, int64_t begin, int64_t size);

// [.., n] -> [.., size]: y[.., j] = x[.., begin + j]. Descriptor: "slice_columns" {begin, size}.
Var SliceColumns(const Var& x, int64_t begin, int64_t size);

// [steps, ..] -> [..]: y = x[i], as [streams, features] of a sequence [steps, streams, features]. It is recorded as
// Slice(x, i, 1) and Reshape.
Var Step(const Var& x, int64_t i);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SLICE_H_
