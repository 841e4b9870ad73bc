// What a model will cost once it is frozen, before it is trained or while it is: the table of `inspect`.
//
//   BITGRAD_ASSIGN_OR_RETURN(const Summary summary, Summarize(context, *model, {image.features()}));
//   std::printf("%s", summary.table.c_str());

#ifndef BITGRAD_EXPORT_SUMMARY_H_
#define BITGRAD_EXPORT_SUMMARY_H_

#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/runtime/cost.h"

namespace bitgrad {

struct Summary {
  ModelCost cost;
  // For people, with a line for each layer: encodings and bits of activations and weights, parameters, bytes in the
  // file, multiply-accumulates by kind of arithmetic, the kernel that will run and, where it is one of floats, why.
  std::string table;
};

// Freezes the model as it is, in memory. `example` is the shape of one input, without the batch; that of a token, which
// is a single number, has no dimensions. The model's parameters are on the context's device; they are not changed, and
// no random numbers are drawn. Errors are those of Freeze().
absl::StatusOr<Summary> Summarize(ExecContext& context, Model& model, const Shape& example);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_SUMMARY_H_
