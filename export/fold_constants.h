// The pass that makes constants of what depends on no input: quantized weights, a mean of a weight, a batch norm of a
// constant. Their values are those that the graph's ops have computed.

#ifndef BITGRAD_EXPORT_FOLD_CONSTANTS_H_
#define BITGRAD_EXPORT_FOLD_CONSTANTS_H_

#include "bitgrad/export/program.h"

namespace bitgrad {

void FoldConstants(program::Program& program);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FOLD_CONSTANTS_H_
