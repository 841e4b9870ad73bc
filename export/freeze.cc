#include "bitgrad/export/freeze.h"

#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/export/emit.h"
#include "bitgrad/export/fold_constants.h"
#include "bitgrad/export/fold_thresholds.h"
#include "bitgrad/export/packed_header.h"
#include "bitgrad/export/program.h"
#include "bitgrad/export/quantize_tables.h"
#include "bitgrad/export/record.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {
namespace {

// What is quantized by a number that has no value yet, and depends on the input.
absl::Status CheckNumbersAreSet(const program::Program& program) {
  for (int i = 0; i < program.size(); ++i) {
    const program::Value& value = program.value(i);
    if (value.as<program::Quantize>() == nullptr || value.is_known()) continue;
    for (size_t k = 1; k < value.operands.size(); ++k) {
      const auto* number = program.operand(i, static_cast<int>(k)).as<program::Constant>();
      if (number == nullptr || number->is_set) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("layer '", value.layer, "': '", number->name, "' has no value yet; train, so that it gets one"));
    }
  }
  return absl::OkStatus();
}

// How many tokens the tables have that the input chooses from.
absl::StatusOr<int32_t> TokensOf(const program::Program& program) {
  int64_t tokens = 0;
  const program::Uses uses(program);
  for (int i = 0; i < program.size(); ++i) {
    const program::Value& value = program.value(i);
    if (!uses.is_used(i) || value.as<program::Embedding>() == nullptr) continue;
    const int64_t rows = program.operand(i, 1).shape.rows();
    if (tokens != 0 && rows != tokens) {
      return absl::InvalidArgumentError(absl::StrCat("layer '", value.layer, "': its table has ", rows,
                                                     " rows, another one has ", tokens,
                                                     "; tables that the input chooses from are of the same tokens"));
    }
    tokens = rows;
  }
  return static_cast<int32_t>(tokens);
}

// What is recorded: the example or, of a model that reads it in time steps, the first of them.
absl::StatusOr<Tensor> FirstTimeStep(const Model& model, const Tensor& example) {
  const int64_t steps = model.time_steps();
  if (steps == 1 || example.dtype() == DType::kInt32) return example.Alias();
  const Shape& shape = example.shape();
  if (shape.rank() != 2 || shape.dim(1) % steps != 0) {
    return absl::InvalidArgumentError(absl::StrCat("the example ", shape.ToString(), " has to be [batch, ", steps,
                                                   " * n], for the model reads it in ", steps, " time steps"));
  }
  // Which values it has does not matter.
  return Tensor::Zeros({shape.dim(0), shape.dim(1) / steps});
}

}  // namespace

absl::StatusOr<PackedModelWriter> Freeze(ExecContext& context, Model& model, const Tensor& example,
                                         const FreezeOptions& options) {
  const bool is_tokens = !example.is_null() && example.dtype() == DType::kInt32;
  const int rank = example.is_null() ? 0 : example.shape().rank();
  if (example.is_null() || (is_tokens ? rank != 1 : rank < 2) || example.shape().dim(0) < 1) {
    return absl::InvalidArgumentError(
        "the example has to be [batch, ...] or, of tokens, int32 [streams], with a batch of at least 1");
  }
  Tape tape(context, Mode::kEval);
  BITGRAD_ASSIGN_OR_RETURN(const Tensor recorded, FirstTimeStep(model, example));
  const Var input = tape.Input(ToDevice(context, recorded));
  Recorder recorder(tape, input);
  model.AnswerAsFrozen(true);
  const Var output = model.Forward(input);
  model.AnswerAsFrozen(false);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  BITGRAD_ASSIGN_OR_RETURN(program::Program program, recorder.Finish(output));
  if (!options.allow_unset_numbers) BITGRAD_RETURN_IF_ERROR(CheckNumbersAreSet(program));
  const FloatSize size = FloatSizeOf(program);
  if (options.fold_constants) FoldConstants(program);
  // The following is the host's work. The kernels of all devices give the same bits there.
  ExecContext host({.threads = context.threads(), .seed = context.seed()});
  if (options.quantize_tables) BITGRAD_RETURN_IF_ERROR(QuantizeTables(host, program));
  if (options.fold_thresholds) BITGRAD_RETURN_IF_ERROR(FoldThresholds(host, options.max_levels, program));
  BITGRAD_ASSIGN_OR_RETURN(PackedModelWriter writer, Emit(program, recorded.shape().dim(0)));

  BITGRAD_ASSIGN_OR_RETURN(const int32_t tokens, TokensOf(program));
  SetHeader({.name = options.name,
             .data_set = options.data_set,
             .pixels = options.pixels,
             .tokens = tokens,
             .time_steps = model.time_steps()},
            size, recorded.shape(), output.shape().cols(), writer.header());
  return writer;
}

}  // namespace bitgrad
