// Quantizers that a graph spells out: a value that is made of another one by roundings and comparisons, whatever the
// nodes between them, becomes codes that a product reads.
//
//   Clip, Add, Mul, Floor, Mul, Sub            k_bit(8), if that is what they compute of every float
//   Where(x >= 0, 1, -1)                       sign
//   Sum of Cast(x >= t_1), Cast(x >= t_2), ..  integer thresholds, where x is exact sums
//
// Nodes are not matched with patterns. Each op on single elements is a function of floats (Pointwise); from the values
// of a chain up to a rounding or a comparison they are composed, and their limits found by bisection over the floats
// (StepFunction). What comes behind is computed of its few values. The first that holds of these is what the program
// has then:
//
//   one of our quantizers has these codes for every float (quantizer_like.h)               Quantize
//   it makes of a maximum's codes the codes themselves or, of some channels, their mirror    MaxPool with flips
//   it is monotone                                                                            Steps
//   else                                                                                      floats, quantized again
//
// Steps become integer thresholds in FoldThresholds(); where its operand is no exact sum, a quantizer in floats or, at
// last, one comparison of floats for each limit takes its place (ReplaceSteps()).

#ifndef BITGRAD_EXPORT_IMPORT_STEPS_H_
#define BITGRAD_EXPORT_IMPORT_STEPS_H_

#include <functional>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "bitgrad/export/import_graph.h"

namespace bitgrad {

// Whether the value has few values as a function of another one, or of itself because it is codes.
bool IsStepped(const ImportGraph& graph, const Imported& x);

// Says of y that it is op(x), element by element. `has_steps`: op rounds or compares. y.id may be -1 if IsStepped()
// then. REQUIRES: y has x's elements in x's order, and neither chain nor steps.
void Follow(const ImportGraph& graph, const Imported& x, Pointwise op, bool has_steps, Imported& y);

// Says of y that it is op(a, b), where both are functions of one value; otherwise it says nothing.
void FollowBoth(const ImportGraph& graph, const Imported& a, const Imported& b,
                absl::FunctionRef<float(float, float)> op, Imported& y);

// Gives the value an operation, and codes where it can have some: what every op needs that does not work on single
// elements.
absl::Status MakeValue(ImportGraph& graph, Imported& x);

// Puts what they stand for in the place of Steps that have not become thresholds.
void ReplaceSteps(program::Program& program);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_STEPS_H_
