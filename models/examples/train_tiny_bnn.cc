// A model of one's own: it is trained, frozen, run on packed bits, and the errors are compared. README.md begins with
// this program.
//
//   ./bazelw run //models/examples:train_tiny_bnn

#include <cstdio>

#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/runtime/interpreter.h"

using namespace bitgrad;

// 784 -> 256 -> 256 -> 10: 8-bit pixels, binary weights and activations.
class TinyBnn final : public Model {
 public:
  explicit TinyBnn(const Scope& scope)
      : fc1_(scope / "fc1", {.in = 784, .out = 256, .input = KBit(8), .weight = Sign()}),
        bn1_(scope / "bn1", {.features = 256}),
        fc2_(scope / "fc2", {.in = 256, .out = 256, .input = Sign(), .weight = Sign()}),
        bn2_(scope / "bn2", {.features = 256}),
        fc3_(scope / "fc3", {.in = 256, .out = 10, .input = Sign(), .weight = Sign()}),
        bn3_(scope / "bn3", {.features = 10}) {}
  Var Forward(const Var& x) override { return bn3_(fc3_(bn2_(fc2_(bn1_(fc1_(x)))))); }

 private:
  Dense fc1_;
  BatchNorm bn1_;
  Dense fc2_;
  BatchNorm bn2_;
  Dense fc3_;
  BatchNorm bn3_;
};

absl::Status Run() {
  ExecContext context({.seed = 1});
  BITGRAD_ASSIGN_OR_RETURN(const Dataset train, LoadDataset("digits", {.limit = 20000}));
  BITGRAD_ASSIGN_OR_RETURN(const Dataset test, LoadDataset("digits", {.split = Split::kTest, .limit = 2000}));
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader,
                           BatchLoader::Create(train, AllExamples(train), {.shuffle = true, .drop_last = true}));

  ParameterStore store(/*seed=*/1);
  TinyBnn model(store.Root());
  BITGRAD_ASSIGN_OR_RETURN(const auto optimizer, MakeAdam(context, {.common = {.glorot_scale = true}}));
  for (int epoch = 0; epoch < 3; ++epoch) {
    optimizer->set_learning_rate(epoch == 0 ? 3e-3 : epoch == 1 ? 3e-4 : 3e-5);
    for (const Batch& batch : loader.Epoch(epoch)) {
      Tape tape(context);
      const Var loss = SquaredHinge(model.Forward(tape.Input(batch.images)), batch.labels);
      BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
      BITGRAD_RETURN_IF_ERROR(optimizer->Step(store.parameters()));
    }
    BITGRAD_ASSIGN_OR_RETURN(const double error, ErrorRate(context, model, test, AllExamples(test)));
    std::printf("epoch %d  test error %.2f%%\n", epoch + 1, 100 * error);
  }

  BITGRAD_ASSIGN_OR_RETURN(const auto writer, Freeze(context, model, Tensor::Zeros({1, 784}), {.name = "tiny_bnn"}));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(const auto packed, PackedModel::FromBytes("tiny_bnn", bytes));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(*packed, context));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor answers,
                           interpreter->RunPixels({test.images.data<uint8_t>(), test.size(), 784}));
  BITGRAD_ASSIGN_OR_RETURN(const int64_t wrong, CountWrong(context, answers, test.labels));
  std::printf("packed: %zu bytes, test error %.2f%%\n", bytes.size(), 100.0 * wrong / test.size());
  return absl::OkStatus();
}

int main(int argc, char** argv) { return RunMain(argc, argv, {.usage = "Trains, freezes and runs a net."}, Run); }
