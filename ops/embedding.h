// Embedding: rows of a table, chosen by index.
//
//   y[..] = table[ids[..]]     ids int32 [..], table [vocabulary, width] -> y [.., width]
//
// The gradient of the table is the sum of the rows of dy by their ids. Where the table is a parameter that gets no
// other gradient, it is kept as the rows that occur (Parameter::gradient_rows). Ids have no gradient.
//
// Errors: ids that are not int32, a table that is no matrix, ids outside of [0, vocabulary). Ids on a GPU are not
// looked at: whoever copies them there checks them.

#ifndef BITGRAD_OPS_EMBEDDING_H_
#define BITGRAD_OPS_EMBEDDING_H_

#include "bitgrad/graph/var.h"

namespace bitgrad {

// Descriptor: "embedding", operands ids and table.
Var Embedding(const Var& ids, const Var& table);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_EMBEDDING_H_
