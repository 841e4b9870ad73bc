// A checkpoint of a small trained net, for tests that read it, damage it or change its header.

#ifndef BITGRAD_TESTS_MODELS_CHECKPOINT_TESTING_H_
#define BITGRAD_TESTS_MODELS_CHECKPOINT_TESTING_H_

#include <cstring>
#include <memory>
#include <string>

#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {

inline MlpOptions TinyOptions() { return {.features = 5, .hidden = {7}, .classes = 3, .weight = Sign()}; }

// A net after two steps of Adam.
struct Trained {
  explicit Trained(const MlpOptions& options = TinyOptions()) : store(1), net(store.Root(), options) {
    optimizer = *MakeOptimizer(context, "adam", {.learning_rate = 0.01});
    for (int i = 0; i < 2; ++i) Step();
  }
  void Step() {
    const Examples examples = RandomExamples(8, 5, 3, 4);
    Tape tape(context);
    EXPECT_TRUE(tape.Backward(SquaredHinge(net.Forward(tape.Input(examples.x)), examples.labels)).ok());
    EXPECT_TRUE(optimizer->Step(store.parameters()).ok());
  }
  ExecContext context{{.threads = 1}};
  ParameterStore store;
  Mlp net;
  std::unique_ptr<Optimizer> optimizer;
};

inline ExecContext& Host() {
  static ExecContext host({.threads = 1});
  return host;
}

inline checkpoint::Header SomeHeader() {
  checkpoint::Header header;
  *header.mutable_recipe() = TinyRecipe();
  header.set_random_step(17);
  header.set_features(5);
  header.set_classes(3);
  checkpoint::Progress& progress = *header.mutable_progress();
  progress.set_epoch(2);
  progress.set_best_epoch(2);
  progress.set_batches_done(4);
  progress.mutable_partial()->set_loss_sum(0.1 + 0.2);
  progress.mutable_partial()->set_steps(4);
  progress.mutable_partial()->set_examples(4 * 50);
  checkpoint::LayerSums& layer = *progress.mutable_partial()->add_layers();
  layer.set_layer("hidden1");
  layer.set_weights(70);
  layer.set_weight_count(35);
  for (int epoch = 1; epoch <= 2; ++epoch) header.add_epochs()->set_epoch(epoch);
  return header;
}

inline std::string WriteSome(const Trained& trained, bool with_optimizer = true) {
  const std::string path = NewDirectory() + "/some.bgc";
  const absl::Status written =
      WriteCheckpoint(Host(), path, SomeHeader(), trained.store, with_optimizer ? trained.optimizer.get() : nullptr);
  EXPECT_TRUE(written.ok()) << written;
  return path;
}

inline void ExpectSameTensors(const ParameterStore& a, const ParameterStore& b) {
  ASSERT_EQ(a.parameters().size(), b.parameters().size());
  for (size_t i = 0; i < a.parameters().size(); ++i) {
    const Tensor& x = a.parameters()[i]->value;
    const Tensor& y = b.parameters()[i]->value;
    ASSERT_EQ(x.shape(), y.shape());
    EXPECT_EQ(std::memcmp(x.raw_data(), y.raw_data(), x.byte_size()), 0) << a.parameters()[i]->name;
  }
}

inline std::string OpenError(const std::string& path) {
  const auto opened = Checkpoint::Open(path);
  EXPECT_FALSE(opened.ok());
  EXPECT_THAT(std::string(opened.status().message()), testing::HasSubstr(path));
  return std::string(opened.status().message());
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_CHECKPOINT_TESTING_H_
