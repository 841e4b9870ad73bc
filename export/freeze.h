// Freeze: from one recorded evaluation of any model to a packed model that runs without the tape.
//
//   BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Freeze(context, model, example, {.name = "tiny"}));
//   BITGRAD_ASSIGN_OR_RETURN(int64_t bytes, writer.Write("tiny.bgm"));
//
// The tape becomes a program (export/program.h), which passes rewrite:
//   - what depends on no input becomes a constant; quantized weights are stored as codes, with 1 bit where they are
//     binary;
//   - where the sums of a linear or conv2d op are exact integers and what reads them quantizes to few bits, everything
//     between them (scale, bias, batch norm, monotone activations) folds into integer thresholds, one for each level
//     and output (export/fold_thresholds.h);
//   - quantizers of rows of a table (an embedding's) become ones of the table, which is stored as codes
//     (export/quantize_tables.h);
//   - every other op becomes an instruction of its own, which the same kernels run.
//
// Of a model whose frozen form answers otherwise than it is trained, that form is recorded (Model::AnswerAsFrozen). Of
// a model that reads an example in time steps (Model::time_steps) one of them is recorded, and the packed model runs it
// as often as there are.
//
// Errors: an op that the packed format does not have (the error names it and its layer); a parameter that is not
// finite.

#ifndef BITGRAD_EXPORT_FREEZE_H_
#define BITGRAD_EXPORT_FREEZE_H_

#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/models/model.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

struct FreezeOptions {
  std::string name;      // of the model
  std::string data_set;  // what //runtime:predict reads unless told otherwise; may be empty
  // Whether inputs are 8-bit pixels scaled to [-1, 1] (data/normalize.h), so that the frozen model takes bytes too.
  bool pixels = true;
  // Passes that may be left out. The answers are the same.
  bool fold_constants = true;  // products of quantized weights need it
  bool fold_thresholds = true;
  bool quantize_tables = true;
  // The most thresholds of an output: quantizers of at most 4 bits fold.
  int max_levels = 15;
  // Whether numbers that quantizers of activations have not learned yet may be frozen as they stand: for what does not
  // depend on values. The graph takes them from each input, so that the answers would not be its.
  bool allow_unset_numbers = false;
};

// `example` [batch, features]: any input of the right shape, on the host or on the context's device. Of a model of
// tokens it is int32 [streams], and what is recorded is one time step: the packed model carries the states that the
// model reads and sets (Tape::State), and runs step by step (Interpreter::RunTokens). The model's
// parameters are on the context's device. On a GPU they are copied to the host, where the rest of the work is done: the
// packed model is the same.
absl::StatusOr<PackedModelWriter> Freeze(ExecContext& context, Model& model, const Tensor& example,
                                         const FreezeOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_FREEZE_H_
