// Training on the GPU, op by op, against training on the CPU: the same steps, checkpoints that either can resume.
//
// Integers, bits and random numbers are the same on both. Floats differ where sums have another order: by roundings,
// which are bounded below. A rounding could carry an activation or a latent weight over the edge of a quantizer and
// then the rest would differ by more; in these nets, with these seeds, none does, which the counts (sign flips,
// activations in the window) say.

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/models/bireal_net.h"
#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/residual_net.h"
#include "bitgrad/models/spline_model.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/optimizer_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

class DeviceTrainingTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = DeviceStatus(Device::kCuda); !status.ok()) GTEST_SKIP() << status.message();
  }
};

using MakeModelFunction = std::function<std::unique_ptr<Model>(const Scope&)>;

// A model and its optimizer on one device.
struct Side {
  Side(Device device, const MakeModelFunction& make, const std::string& optimizer_name)
      : context({.device = device, .threads = 1, .seed = 7, .backward = BackwardPrecision::kFloat32}),
        store(3),
        model(make(store.Root())) {
    EXPECT_TRUE(store.status().ok()) << store.status();
    MoveToDevice(context, store);
    optimizer =
        OptimizerNamed(context, optimizer_name, {.learning_rate = 0.01, .weight_decay = 1e-4, .glorot_scale = true});
  }

  // What a step leaves behind, on the host.
  struct Outcome {
    float loss;
    int64_t errors;
    Tensor logits;
    std::vector<Tensor> gradients;  // null where there is none
    std::vector<int64_t> counts;    // inside windows; flips and weights at the clip of quantized weights
    double norm;
  };
  Outcome Step(const Examples& examples) {
    Outcome outcome;
    Tape tape(context);
    const Var logits = model->Forward(tape.Input(ToDevice(context, examples.x)));
    const Var loss = SquaredHinge(logits, examples.labels);
    const absl::StatusOr<const Tensor*> value = tape.Value(loss);
    EXPECT_TRUE(value.ok()) << value.status();
    if (!value.ok()) return outcome;
    outcome.loss = ToHost(context, **value).data<float>()[0];
    outcome.logits = ToHost(context, **tape.Value(logits)).Clone();
    outcome.errors = *CountWrong(context, **tape.Value(logits), examples.labels);
    const absl::Status backward = tape.Backward(loss);
    EXPECT_TRUE(backward.ok()) << backward;
    for (const Parameter* parameter : store.parameters()) {
      outcome.gradients.push_back(parameter->gradient.is_null() ? Tensor()
                                                                : ToHost(context, parameter->gradient).Clone());
    }
    const absl::Status stepped = optimizer->Step(store.parameters());
    EXPECT_TRUE(stepped.ok()) << stepped;
    outcome.norm = optimizer->gradient_norm();
    for (const CounterValue& seen : tape.counters()) outcome.counts.push_back(seen.count);
    // Not of those that begin at zero, whose sign is that of a gradient that may be nothing but roundings.
    for (const Parameter* parameter : store.parameters()) {
      if (!parameter->is_quantized()) continue;
      outcome.counts.push_back(parameter->sign_flips);
      outcome.counts.push_back(parameter->at_clip);
    }
    return outcome;
  }

  ExecContext context;
  ParameterStore store;
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
};

// Elements differ by `relative` of the largest at most, or by `roundings`.
void ExpectCloseTensors(const Tensor& a, const Tensor& b, double relative, const std::string& what,
                        double roundings = 0) {
  ASSERT_EQ(a.is_null(), b.is_null()) << what;
  if (a.is_null()) return;
  ASSERT_EQ(a.shape(), b.shape()) << what;
  double largest = 0;
  for (const float x : a.span<float>()) largest = std::max<double>(largest, std::fabs(x));
  for (int64_t i = 0; i < a.num_elements(); ++i) {
    ASSERT_NEAR(b.data<float>()[i], a.data<float>()[i], std::max(relative * largest, roundings))
        << what << ", element " << i;
  }
}

// Sums here have at most 800 terms, which another order of adding changes by 800 roundings of the terms' size,
// sqrt(800) of the sum's where terms are of either sign: 1e-3 of a tensor's largest element holds that for some layers
// in a row, and a confused row, column, batch or scale is off by the whole of it.
constexpr double kClose = 1e-3;
// Of the gradient of the whole net: sqrt(800) roundings of 2^-24.
constexpr double kRoundings = 2e-6;

void ExpectSameSteps(const MakeModelFunction& make, int64_t features, int32_t classes, const std::string& optimizer,
                     int64_t batch = 20) {
  Side cpu(Device::kCpu, make, optimizer), gpu(Device::kCuda, make, optimizer);
  const Examples examples = RandomExamples(batch, features, classes, 5);
  for (int step = 0; step < 3; ++step) {
    SCOPED_TRACE(testing::Message() << "step " << step);
    const Side::Outcome a = cpu.Step(examples), b = gpu.Step(examples);
    if (testing::Test::HasFailure()) return;
    EXPECT_NEAR(b.loss, a.loss, kClose * std::fabs(a.loss));
    EXPECT_EQ(b.errors, a.errors);
    EXPECT_EQ(b.counts, a.counts);
    EXPECT_NEAR(b.norm, a.norm, kClose * a.norm);
    ExpectCloseTensors(a.logits, b.logits, kClose, "logits");
    // The gradient of a constant before a batch norm is 0 but for roundings of the terms that cancel.
    const double roundings = kRoundings * a.norm;
    for (size_t i = 0; i < a.gradients.size(); ++i) {
      ExpectCloseTensors(a.gradients[i], b.gradients[i], kClose, "gradient of " + cpu.store.parameters()[i]->name,
                         roundings);
    }
    for (size_t i = 0; i < cpu.store.parameters().size(); ++i) {
      const Tensor values = ToHost(gpu.context, gpu.store.parameters()[i]->value);
      ExpectCloseTensors(cpu.store.parameters()[i]->value, values, kClose, cpu.store.parameters()[i]->name, roundings);
    }
    if (testing::Test::HasFailure()) return;
  }
  // By the running statistics; and once more as the frozen model answers.
  for (const bool frozen : {false, true}) {
    SCOPED_TRACE(frozen ? "as frozen" : "as trained");
    cpu.model->AnswerAsFrozen(frozen);
    gpu.model->AnswerAsFrozen(frozen);
    const Tensor a = *Logits(cpu.context, *cpu.model, examples.x);
    const absl::StatusOr<Tensor> b = Logits(gpu.context, *gpu.model, examples.x);
    ASSERT_TRUE(b.ok()) << b.status();
    ExpectCloseTensors(a, ToHost(gpu.context, *b), kClose, "evaluation");
  }
}

struct NetCase {
  const char* name;
  std::vector<std::string> quantizers;  // input, activation, weight, gradient
  const char* activation = "identity";
  float keep = 1.0f;
  const char* optimizer = "sgd";
};

class DeviceMlpTest : public DeviceTrainingTest, public testing::WithParamInterface<NetCase> {};

TEST_P(DeviceMlpTest, StepsAgree) {
  const NetCase& c = GetParam();
  const MlpOptions options = {.features = 70,
                              .hidden = {33, 20},
                              .classes = 4,
                              .input = *ParseQuantizer(c.quantizers[0]),
                              .activation_quantizer = *ParseQuantizer(c.quantizers[1]),
                              .weight = *ParseQuantizer(c.quantizers[2]),
                              .gradient = *ParseQuantizer(c.quantizers[3]),
                              .activation = c.activation,
                              .input_keep = c.keep,
                              .hidden_keep = c.keep};
  ExpectSameSteps([&](const Scope& scope) { return std::make_unique<Mlp>(scope, options); }, 70, 4, c.optimizer);
}

INSTANTIATE_TEST_SUITE_P(
    Nets, DeviceMlpTest,
    testing::Values(NetCase{"bnn", {"identity", "sign", "sign", "identity"}},
                    NetCase{"bnn_adam", {"identity", "sign", "sign", "identity"}, "identity", 1.0f, "adam"},
                    NetCase{"bnn_codes", {"k_bit(8)", "sign", "sign", "identity"}, "identity", 1.0f, "adamax"},
                    NetCase{"bop", {"k_bit(8)", "sign", "sign", "identity"}, "identity", 1.0f, "bop"},
                    NetCase{"random", {"identity", "stochastic_sign", "stochastic_sign", "identity"}, "identity", 0.8f},
                    NetCase{"floats", {"identity", "identity", "identity", "identity"}, "relu"},
                    NetCase{"binary_weights", {"identity", "identity", "sign", "identity"}, "relu"},
                    NetCase{"ternary", {"identity", "k_bit(2)", "ternary(0.5)", "identity"}},
                    NetCase{"dorefa", {"identity", "dorefa_activation(2)", "dorefa_weight(1)", "dorefa_gradient(6)"}},
                    NetCase{"int8_gradients", {"identity", "sign", "sign", "stochastic_round(8)"}},
                    NetCase{"splines", {"identity", "identity", "identity", "identity"}, "spline(9, 1, linear)"},
                    NetCase{
                        "spline_threshold", {"identity", "sign", "sign", "identity"}, "spline(21, 1, threshold=0.02)"}),
    [](const auto& info) { return std::string(info.param.name); });

class DeviceConvNetTest : public DeviceTrainingTest, public testing::WithParamInterface<NetCase> {};

TEST_P(DeviceConvNetTest, StepsAgree) {
  const NetCase& c = GetParam();
  const ConvNetOptions options = {.image = {6, 5, 3},
                                  .blocks = {{.filters = 16}, {.filters = 12, .pool = 2, .pool_stride = 2}},
                                  .hidden = {20},
                                  .classes = 4,
                                  .input = *ParseQuantizer(c.quantizers[0]),
                                  .activation_quantizer = *ParseQuantizer(c.quantizers[1]),
                                  .weight = *ParseQuantizer(c.quantizers[2]),
                                  .gradient = *ParseQuantizer(c.quantizers[3]),
                                  .activation = c.activation};
  ExpectSameSteps([&](const Scope& scope) { return std::make_unique<ConvNet>(scope, options); }, 90, 4, c.optimizer, 8);
}

INSTANTIATE_TEST_SUITE_P(
    Nets, DeviceConvNetTest,
    testing::Values(NetCase{"bnn", {"k_bit(8)", "sign", "sign", "identity"}},
                    NetCase{"floats", {"identity", "identity", "identity", "identity"}, "relu"},
                    NetCase{"dorefa", {"k_bit(8)", "dorefa_activation(2)", "dorefa_weight(1)", "dorefa_gradient(6)"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(DeviceTrainingTest, StepsOfAResidualNetAgree) {
  const BiRealNetOptions options = {.image = {6, 6, 3},
                                    .stem_filters = 8,
                                    .stages = {{.filters = 8, .blocks = 1}, {.filters = 16, .blocks = 1, .stride = 2}},
                                    .classes = 4,
                                    .activation_quantizer = ApproxSign(),
                                    .weight = Sign()};
  ExpectSameSteps([&](const Scope& scope) { return std::make_unique<BiRealNet>(scope, options); }, 108, 4, "sgd", 6);
}

TEST_F(DeviceTrainingTest, StepsOfNetsWithOneTapPerKernelAgree) {
  for (const ResidualConnection connection :
       {ResidualConnection::kShiftAttention, ResidualConnection::kSharedShiftAttention, ResidualConnection::kShift}) {
    SCOPED_TRACE(static_cast<int>(connection));
    const ResidualNetOptions options = {
        .image = {6, 6, 3},
        .stem_filters = 8,
        .stages = {{.filters = 8, .blocks = 1}, {.filters = 12, .blocks = 1, .stride = 2}},
        .connection = connection,
        .classes = 4};
    ExpectSameSteps([&](const Scope& scope) { return std::make_unique<ResidualNet>(scope, options); }, 108, 4, "sgd",
                    6);
  }
}

TEST_F(DeviceTrainingTest, ReportsOfSplinesAreTheSame) {
  const MlpOptions options = {
      .features = 70, .hidden = {33, 20}, .classes = 4, .activation = "spline(9, 1, linear, threshold=0.02)"};
  std::vector<ModelValue> reports[2];
  for (const Device device : {Device::kCpu, Device::kCuda}) {
    ExecContext context({.device = device, .threads = 1});
    ParameterStore store(3);
    auto mlp = std::make_unique<Mlp>(store.Root(), options);
    const std::unique_ptr<Model> model = WithSplineReport(store, options.features, std::move(mlp));
    ASSERT_TRUE(store.status().ok()) << store.status();
    MoveToDevice(context, store);
    reports[device == Device::kCuda] = model->Report(context);
    EXPECT_TRUE(context.Synchronize().ok()) << context.status();
  }
  ASSERT_TRUE(reports[0].size() == 3 && reports[1].size() == 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(reports[0][i].name, reports[1][i].name);
    EXPECT_GT(reports[0][i].value, 0);
    EXPECT_EQ(reports[0][i].value, reports[1][i].value) << reports[0][i].name;
  }
}

// ---- Runs ----------------------------------------------------------------------------------------

recipe::Recipe RunRecipe(const std::vector<std::string>& more = {}) {
  std::vector<std::string> assignments = {"data.limit=250", "data.validation_examples=50", "epochs=2"};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return TinyRecipe(assignments);
}

absl::StatusOr<TrainResult> Train(const recipe::Recipe& recipe, TrainOptions options) {
  options.threads = 1;
  std::FILE* const log = std::fopen("/dev/null", "w");
  options.log = log;
  absl::StatusOr<TrainResult> result = [&]() -> absl::StatusOr<TrainResult> {
    auto trainer = Trainer::Create(recipe, options);
    if (!trainer.ok()) return trainer.status();
    return (*trainer)->Run();
  }();
  std::fclose(log);
  return result;
}

TEST_F(DeviceTrainingTest, ARunLearnsAndItsModelEvaluatesEverywhere) {
  const std::string directory = NewDirectory();
  const auto result = Train(RunRecipe({"epochs=4"}), {.out_dir = directory, .device = Device::kCuda});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto latest = Checkpoint::Open(directory + "/checkpoint.bgc");
  ASSERT_TRUE(latest.ok()) << latest.status();
  // The gradients are rounded to bf16 here, so the runs part; they learn as much.
  const std::string on_cpu = NewDirectory();
  const auto reference = Train(RunRecipe({"epochs=4"}), {.out_dir = on_cpu});
  ASSERT_TRUE(reference.ok()) << reference.status();
  const auto expected = Checkpoint::Open(on_cpu + "/checkpoint.bgc");
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_NEAR(latest->header().epochs(0).loss(), expected->header().epochs(0).loss(), 0.05);
  EXPECT_NEAR(latest->header().epochs(3).loss(), expected->header().epochs(3).loss(), 0.05);
  EXPECT_LT(latest->header().epochs(3).loss(), 0.9 * latest->header().epochs(0).loss());

  const auto bundle = LoadModel(*Checkpoint::Open(result->checkpoint));
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  const Dataset test = *LoadDataset("digits", {.split = Split::kTest, .limit = 250});
  for (const Device device : {Device::kCpu, Device::kCuda}) {
    ExecContext context({.device = device, .threads = 1});
    MoveToDevice(context, *bundle->store);
    const auto error = ErrorRate(context, *bundle->model, test, AllExamples(test));
    ASSERT_TRUE(error.ok()) << error.status();
    EXPECT_EQ(*error, result->best.test_error()) << Name(device);
  }
}

// Every sum has a fixed order.
TEST_F(DeviceTrainingTest, RunsRepeatBitForBit) {
  const std::string first = NewDirectory(), second = NewDirectory();
  for (const std::string& directory : {first, second}) {
    const auto result = Train(RunRecipe(), {.out_dir = directory, .device = Device::kCuda});
    ASSERT_TRUE(result.ok()) << result.status();
  }
  ExpectSameCheckpoints(first + "/checkpoint.bgc", second + "/checkpoint.bgc");
}

// What one device wrote, the other reads to the last bit, optimizer included, and goes on from there.
TEST_F(DeviceTrainingTest, CheckpointsMoveBetweenDevices) {
  const MlpOptions options = {
      .features = 70, .hidden = {33, 20}, .classes = 4, .activation_quantizer = Sign(), .weight = Sign()};
  const MakeModelFunction make = [&](const Scope& scope) { return std::make_unique<Mlp>(scope, options); };
  const Examples examples = RandomExamples(20, 70, 4, 5);
  for (const Device from : {Device::kCpu, Device::kCuda}) {
    SCOPED_TRACE(Name(from));
    Side old(from, make, "adam");
    for (int step = 0; step < 2; ++step) old.Step(examples);
    const std::string path = NewDirectory() + "/some.bgc";
    checkpoint::Header header;
    *header.mutable_recipe() = TinyRecipe();
    const absl::Status written = WriteCheckpoint(old.context, path, header, old.store, old.optimizer.get());
    ASSERT_TRUE(written.ok()) << written;

    Side fresh(from == Device::kCpu ? Device::kCuda : Device::kCpu, make, "adam");
    const auto checkpoint = Checkpoint::Open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    ASSERT_TRUE(checkpoint->RestoreParameters(fresh.store).ok());
    MoveToDevice(fresh.context, fresh.store);
    const absl::Status restored = checkpoint->RestoreOptimizer(fresh.store, *fresh.optimizer);
    ASSERT_TRUE(restored.ok()) << restored;
    for (size_t i = 0; i < old.store.parameters().size(); ++i) {
      ExpectSameBits(ToHost(old.context, old.store.parameters()[i]->value),
                     ToHost(fresh.context, fresh.store.parameters()[i]->value));
    }
    const auto a = old.optimizer->state(), b = fresh.optimizer->state();
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) {
      ExpectSameBits(ToHost(old.context, *a[i].tensor), ToHost(fresh.context, *b[i].tensor));
    }
    const Side::Outcome next = old.Step(examples), there = fresh.Step(examples);
    EXPECT_NEAR(there.loss, next.loss, kClose * std::fabs(next.loss));
    EXPECT_EQ(there.counts, next.counts);
  }
}

// ---- What can go wrong ---------------------------------------------------------------------------

TEST_F(DeviceTrainingTest, TensorsOnTheWrongDeviceAreNamed) {
  ExecContext gpu({.device = Device::kCuda});
  Tape tape(gpu);
  tape.Input(Filled({2, 3}, 1));
  EXPECT_THAT(std::string(tape.status().message()), HasSubstr("input: the tensor is on cpu, the context on cuda"));
  tape.Reset();
  Parameter parameter = MakeParameter("some/weight", Filled({2, 3}, 1));
  tape.Use(parameter);
  EXPECT_THAT(std::string(tape.status().message()), HasSubstr("parameter 'some/weight': the tensor is on cpu"));
  ExecContext cpu({.threads = 1});
  Tape host(cpu);
  host.Input(ToDevice(gpu, Filled({2, 3}, 1)));
  EXPECT_THAT(std::string(host.status().message()), HasSubstr("input: the tensor is on cuda, the context on cpu"));
}

TEST_F(DeviceTrainingTest, LabelsAreCheckedOnTheHost) {
  ExecContext gpu({.device = Device::kCuda});
  Tape tape(gpu);
  SquaredHinge(tape.Input(ToDevice(gpu, Filled({2, 3}, 1))), Labels({1, 3}));
  EXPECT_THAT(std::string(tape.status().message()), HasSubstr("label 3 is not in [0, 3)"));
}

TEST_F(DeviceTrainingTest, DivergenceNamesTheLayer) {
  const auto result = Train(RunRecipe({"optimizer.name=sgd", "optimizer.learning_rate=1e30"}),
                            {.out_dir = NewDirectory(), .device = Device::kCuda});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange) << result.status();
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("training stopped in epoch 1"));
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("has a NaN or an infinity"));
}

}  // namespace
}  // namespace bitgrad
