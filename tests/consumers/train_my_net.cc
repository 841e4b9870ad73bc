// A user's program, in a project that only knows bitgrad's headers and libraries: trains a model, freezes it, writes
// the packed file, and compares the graph's answers on the test images with the packed model's.
//
//   train_my_net FILE      prints "my_net: bitgrad VERSION graph E% packed E% bytes N"; its status is 0 when the two E
//   are equal

#include <cstdio>
#include <string>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/version.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/runtime/interpreter.h"
#include "my_net.h"

using bitgrad::Batch;
using bitgrad::BatchLoader;
using bitgrad::Dataset;
using bitgrad::ExecContext;
using bitgrad::Tape;
using bitgrad::Tensor;
using bitgrad::Var;

namespace {

absl::Status Run(const std::string& file) {
  ExecContext context({.seed = 1});
  BITGRAD_ASSIGN_OR_RETURN(const Dataset train, bitgrad::LoadDataset("digits", {.limit = 2000}));
  BITGRAD_ASSIGN_OR_RETURN(const Dataset test,
                           bitgrad::LoadDataset("digits", {.split = bitgrad::Split::kTest, .limit = 500}));
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader,
                           BatchLoader::Create(train, AllExamples(train), {.shuffle = true, .drop_last = true}));
  bitgrad::ParameterStore store(/*seed=*/1);
  MyNet model(store.Root());
  BITGRAD_RETURN_IF_ERROR(store.status());
  BITGRAD_ASSIGN_OR_RETURN(const auto optimizer,
                           bitgrad::MakeAdam(context, {.common = {.learning_rate = 3e-3, .glorot_scale = true}}));
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (const Batch& batch : loader.Epoch(epoch)) {
      Tape tape(context);
      const Var loss = SquaredHinge(model.Forward(tape.Input(batch.images)), batch.labels);
      BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
      BITGRAD_RETURN_IF_ERROR(optimizer->Step(store.parameters()));
    }
  }
  BITGRAD_ASSIGN_OR_RETURN(const double graph_error, ErrorRate(context, model, test, AllExamples(test)));

  BITGRAD_ASSIGN_OR_RETURN(const auto writer, Freeze(context, model, Tensor::Zeros({1, 784}), {.name = "my_net"}));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t bytes, writer.Write(file));
  BITGRAD_ASSIGN_OR_RETURN(const auto packed, bitgrad::PackedModel::Open(file));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, bitgrad::Interpreter::Create(*packed, context));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor answers,
                           interpreter->RunPixels({test.images.data<uint8_t>(), test.size(), 784}));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t wrong, CountWrong(context, answers, test.labels));
  const double packed_error = static_cast<double>(wrong) / static_cast<double>(test.size());
  std::printf("my_net: bitgrad %s graph %.2f%% packed %.2f%% bytes %d\n", bitgrad::kVersion, 100 * graph_error,
              100 * packed_error, static_cast<int>(bytes));
  if (graph_error != packed_error) return absl::InternalError("the packed model has another error than the graph");
  if (graph_error > 0.5) return absl::InternalError("the net has not learned");
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : "my_net.bgm");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
