// The pass that moves quantizers from the rows of a table to the table itself.
//
// A quantizer of single values, whose numbers are fixed once training is over, commutes with choosing rows:
//
//   Quantize(Embedding(tokens, table)) = Embedding(tokens, Quantize(table))
//
// So the file has the table's codes instead of its floats (10,000 rows of 300 numbers of 4 bits are 1.5 MB instead of
// 12), and running looks up codes instead of quantizing. The codes are computed by the graph's own kernels. Where
// something else reads the rows, too, the floats would have to stay, and nothing is moved.

#ifndef BITGRAD_EXPORT_QUANTIZE_TABLES_H_
#define BITGRAD_EXPORT_QUANTIZE_TABLES_H_

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/program.h"

namespace bitgrad {

// REQUIRES: the context is on the CPU; constants are folded.
absl::Status QuantizeTables(ExecContext& context, program::Program& program);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_QUANTIZE_TABLES_H_
