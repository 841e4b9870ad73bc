// The whole way of a model of one's own: it is trained, frozen, run on packed bits, and the errors are compared.
//
//   ./bazelw run //models/examples:train_tiny_bnn

#include <cmath>
#include <memory>

#include "absl/strings/str_format.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/examples/tiny_bnn.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

absl::Status Run() {
  ExecContext context({.seed = 1});
  BITGRAD_ASSIGN_OR_RETURN(const Dataset train, LoadDataset("digits", {.limit = 20000}));
  BITGRAD_ASSIGN_OR_RETURN(const Dataset test, LoadDataset("digits", {.split = Split::kTest, .limit = 2000}));
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader,
                           BatchLoader::Create(train, AllExamples(train), {.shuffle = true, .drop_last = true}));

  ParameterStore store(/*seed=*/1);
  TinyBnn model(store.Root());
  BITGRAD_RETURN_IF_ERROR(store.status());
  BITGRAD_ASSIGN_OR_RETURN(const auto optimizer,
                           MakeAdam(context, {.common = {.learning_rate = 3e-3, .glorot_scale = true}}));
  for (int epoch = 0; epoch < 3; ++epoch) {
    for (const Batch& batch : loader.Epoch(epoch)) {
      Tape tape(context);
      const Var loss = SquaredHinge(model.Forward(tape.Input(batch.images)), batch.labels);
      BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
      optimizer->set_learning_rate(3e-3 * std::pow(0.1, epoch));
      BITGRAD_RETURN_IF_ERROR(optimizer->Step(store.parameters()));
    }
    BITGRAD_ASSIGN_OR_RETURN(const double error, ErrorRate(context, model, test, AllExamples(test)));
    absl::PrintF("epoch %d  test error %.2f%%\n", epoch + 1, 100 * error);
  }

  const Tensor example = Tensor::Zeros({1, 784});
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, Freeze(context, model, example, {.name = "tiny_bnn"}));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(const auto packed, PackedModel::FromBytes("tiny_bnn", bytes));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(*packed, context));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor answers,
                           interpreter->RunPixels({test.images.data<uint8_t>(), test.size(), 784}));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t wrong, CountWrong(context, answers, test.labels));
  absl::PrintF("packed: %d bytes, test error %.2f%%\n", bytes.size(),
               100.0 * static_cast<double>(wrong) / static_cast<double>(test.size()));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Trains, freezes and runs a model of one's own."},
                          [] { return bitgrad::Run(); });
}
