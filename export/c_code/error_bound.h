// How far the exported C code may be from the interpreter. Both compute integers and single float operations alike, to
// the last bit; only the order in which they sum up products of floats differs.

#ifndef BITGRAD_EXPORT_C_CODE_ERROR_BOUND_H_
#define BITGRAD_EXPORT_C_CODE_ERROR_BOUND_H_

#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// A bound of the difference of any element of the result, 0 where there is none; of a model of tokens after `steps`
// time steps. `largest_input`: of the size of floats that go in.
//
// A sum of k products of floats has, in any order, an error of at most (k + 1) 2^-24 sum |x_i w_i|, so that two of them
// differ by twice as much; from there the difference is carried on through the program: multiplied by the largest sum
// of a filter's |w|, by the largest factor of a batch norm, and so on. What becomes codes may become a neighbouring one
// where it lies near to a limit, which adds the codes' distance. That is seldom, and with it the bound is wide; where
// `codes_change` is false it is what holds as long as no code changes.
double DifferenceBound(const PackedModel& model, int steps, double largest_input, bool codes_change);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_ERROR_BOUND_H_
