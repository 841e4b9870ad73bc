// Weights of checkpoints, out to safetensors files and in from them.

#include "bitgrad/export/checkpoint_weights.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// What a checkpoint has of its model and data.
struct Net {
  recipe::Recipe recipe;
  ImageShape image;
  int64_t classes;
  bool is_text = false;
};

Net NetOf(const std::string& name, const std::vector<std::string>& assignments) {
  Net net{*LoadRecipe(name), {8, 8, 3}, 10};
  for (const std::string& assignment : assignments) {
    const absl::Status set = SetField(assignment, net.recipe);
    EXPECT_TRUE(set.ok()) << set;
  }
  return net;
}

// A checkpoint after two epochs, whose parameters have random values; those of quantizers have their initial ones.
std::string WriteNet(const Net& net, uint64_t seed) {
  ModelBundle bundle = *MakeModel(net.recipe, net.image, net.classes);
  uint32_t stream = 0;
  for (Parameter* parameter : bundle.store->parameters()) {
    if (parameter->kind == ParameterKind::kQuantizerVariable) {
      // A place for what the first batch of a training gives.
      if (!parameter->is_set)
        std::fill_n(parameter->value.mutable_data<float>(), parameter->value.num_elements(), 0.5f);
      continue;
    }
    const RngStream random{.seed = seed, .purpose = RngPurpose::kTest, .stream = ++stream};
    for (int64_t i = 0; i < parameter->value.num_elements(); ++i) {
      parameter->value.mutable_data<float>()[i] = Uniform(random, i);
    }
  }
  checkpoint::Header header;
  *header.mutable_recipe() = net.recipe;
  header.set_random_step(17);
  header.set_classes(net.classes);
  if (net.is_text) {
    header.set_text(checkpoint::WORDS);
    for (int i = 0; i < net.classes; ++i) header.add_class_names(i == 0 ? "<eos>" : absl::StrCat("word", i));
  } else {
    header.set_features(net.image.features());
    for (const int64_t extent : {net.image.height, net.image.width, net.image.channels}) header.add_image_shape(extent);
  }
  header.mutable_progress()->set_epoch(2);
  header.mutable_progress()->set_best_epoch(1);
  for (int epoch = 1; epoch <= 2; ++epoch) header.add_epochs()->set_epoch(epoch);
  const std::string path = NewDirectory() + "/net.bgc";
  ExecContext context({.threads = 1});
  const auto& texts = net.recipe.data().preprocessing();
  Preprocessing preprocessing = *ParsePreprocessing(std::vector<std::string>(texts.begin(), texts.end()));
  if (!texts.empty()) {
    EXPECT_TRUE(preprocessing.SetShape(net.image).ok());
    for (const LearnedTensor& learned : preprocessing.learned()) {
      std::fill_n(learned.tensor->mutable_data<float>(), learned.tensor->num_elements(), 0.25f);
    }
  }
  const absl::Status written = WriteCheckpoint(context, path, header, *bundle.store, nullptr, preprocessing);
  EXPECT_TRUE(written.ok()) << written;
  return path;
}

struct NetCase {
  const char* name;
  const char* recipe;
  std::vector<std::string> assignments;
  bool is_text = false;
};

class RoundTripTest : public testing::TestWithParam<NetCase> {};

TEST_P(RoundTripTest, BitForBit) {
  Net net = NetOf(GetParam().recipe, GetParam().assignments);
  if (GetParam().is_text) {
    net.image = {};
    net.classes = 7;
    net.is_text = true;
  }
  const auto first = Checkpoint::Open(WriteNet(net, 1)), second = Checkpoint::Open(WriteNet(net, 2));
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(second.ok()) << second.status();
  const std::string weights = NewDirectory() + "/net.safetensors", out = NewDirectory() + "/out.bgc";
  const auto taken = TakeWeights(*first, {}, weights);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_EQ(taken->tensors, first->header().parameters_size());
  EXPECT_EQ(static_cast<size_t>(taken->bytes), ReadFile(weights).size());
  const auto file = SafetensorsFile::Open(weights);
  ASSERT_TRUE(file.ok()) << file.status();
  const auto brought = BringWeights(*second, *file, {}, out);
  ASSERT_TRUE(brought.ok()) << brought.status();
  EXPECT_EQ(brought->tensors, taken->tensors);
  EXPECT_EQ(brought->replaced, taken->tensors);
  const auto third = Checkpoint::Open(out);
  ASSERT_TRUE(third.ok()) << third.status();
  // Names, shapes, places and checksums.
  ASSERT_EQ(third->header().parameters_size(), first->header().parameters_size());
  int different = 0;
  for (int i = 0; i < first->header().parameters_size(); ++i) {
    const auto &a = first->header().parameters(i), &b = second->header().parameters(i),
               &c = third->header().parameters(i);
    EXPECT_EQ(c.SerializeAsString(), a.SerializeAsString()) << a.name();
    different += a.crc32() != b.crc32() ? 1 : 0;
  }
  EXPECT_GT(different, 1);
  // The run of the weights before is not that of these.
  checkpoint::Header header = second->header();
  header.clear_progress();
  header.clear_epochs();
  header.clear_random_step();
  *header.mutable_parameters() = third->header().parameters();
  EXPECT_EQ(header.SerializeAsString(), third->header().SerializeAsString());
  ExecContext context({.threads = 1});
  EXPECT_TRUE(LoadModel(*third).ok());
  const auto frozen = FreezeCheckpoint(context, *third);
  EXPECT_TRUE(frozen.ok()) << frozen.status();
}

INSTANTIATE_TEST_SUITE_P(
    Nets, RoundTripTest,
    testing::Values(NetCase{"Mlp", "digits_bnn_mlp", {"model.mlp.hidden=16,16"}},
                    NetCase{"FloatConvNet", "mnist_relu_convnet", {"model.conv_net.block[*].kernel=1"}},
                    NetCase{"LsqConvNet",
                            "cifar10_lsq2_vgg_tiny",
                            {"model.conv_net.block[*].filters=4", "model.conv_net.hidden=8"}},
                    // With what its preprocessing has learned.
                    NetCase{"ResNet", "cifar10_resnet20_small", {}},
                    NetCase{"Lstm", "ptb_lstm_4bit", {"model.recurrent_net.hidden=6"}, true}),
    [](const auto& info) { return std::string(info.param.name); });

// A net of PyTorch: Conv2d(3, 2, 2), ReLU, MaxPool2d(2), Flatten, Linear(8, 3), with torch.manual_seed(3), and what it
// answers to an image.
const std::vector<float> kConvWeight = {-0.286213577f,  -0.227724627f, -0.123643897f, -0.273112744f,  -0.0163884554f,
                                        -0.253966987f,  0.156961814f,  0.140699893f,  0.0545141101f,  0.223929137f,
                                        -0.0282720756f, 0.172910988f,  -0.202164456f, -0.0568870045f, -0.257396072f,
                                        -0.0234373938f, -0.187289402f, 0.259335846f,  0.200524509f,   0.216423348f,
                                        0.0856270641f,  -0.164684698f, 0.259406358f,  -0.28168419f};
const std::vector<float> kConvBias = {-0.184245631f, -0.180297732f};
const std::vector<float> kLinearWeight = {-0.146551624f,  0.0704976022f,  -0.267812967f, -0.272380501f,  -0.169083625f,
                                          0.215789124f,   -0.255009502f,  -0.317100704f, -0.306427687f,  -0.173978388f,
                                          -0.0928954855f, -0.350495547f,  -0.165529296f, 0.00680153165f, 0.0582812093f,
                                          -0.0506850407f, -0.0400877222f, -0.23001276f,  0.181127518f,   -0.0851727501f,
                                          -0.241730377f,  -0.085144259f,  -0.049393367f, 0.326897472f};
const std::vector<float> kLinearBias = {0.184257209f, -0.142760471f, -0.0501592569f};
// [height, width, channels]
const std::vector<float> kImage = {
    0.883669376f,  0.227905393f,  -0.349861503f, 0.642436743f,  0.672831178f,  0.185947537f,  0.249334455f,
    -0.861802459f, -0.386926174f, -0.358716369f, -0.861710668f, -0.3385638f,   0.832076907f,  -0.902594328f,
    -0.371521473f, 0.428430319f,  0.056607604f,  0.595793009f,  -0.445374966f, 0.848617077f,  -0.698974371f,
    0.7096591f,    -0.872684002f, 0.434222698f,  0.0712727308f, 0.397899985f,  0.518314838f,  -0.739556551f,
    -0.882481217f, -0.6644485f,   -0.443237305f, -0.664564133f, -0.759554863f, -0.748939514f, -0.341003537f,
    -0.665934086f, -0.828249812f, -0.406637192f, -0.845926285f, 0.0244467258f, 0.295368195f,  0.839576125f,
    -0.716630459f, -0.838514328f, 0.881463289f,  0.532951236f,  0.988889933f,  -0.139626741f, 0.447224259f,
    0.145784616f,  0.937681198f,  0.215109825f,  0.348611236f,  0.283260822f,  0.823966026f,  -0.675515294f,
    -0.981007218f, -0.453620076f, 0.551860809f,  -0.914979815f, 0.0149122477f, -0.233493924f, -0.482877135f,
    0.614471078f,  -0.497541785f, -0.997484088f, 0.345662832f,  0.170094132f,  -0.458764076f, 0.121158719f,
    0.416187048f,  0.270459175f,  0.836195111f,  0.105901718f,  -0.0224257708f};
const std::vector<float> kAnswer = {-0.0545289814f, -0.368452489f, -0.112481371f};
constexpr char kNames[] = R"(
conv1/weight = 0.weight nchw
conv1/bias = 0.bias
output/weight = 4.weight from_nchw(2,2,2)
output/bias = 4.bias
)";

Net ConvNetOfPyTorch() {
  Net net = NetOf("mnist_relu_convnet", {"model.conv_net.block[*].kernel=2", "model.conv_net.hidden=[]"});
  net.recipe.mutable_model()->mutable_conv_net()->mutable_block()->DeleteSubrange(1, 1);
  net.image = {5, 5, 3};
  net.classes = 3;
  return net;
}

std::string WriteFileOfPyTorch() {
  const std::string path = NewDirectory() + "/torch.safetensors";
  std::vector<NamedValue> values;
  values.push_back({"0.weight", Tensor::Of<float>({2, 3, 2, 2}, kConvWeight)});
  values.push_back({"0.bias", Tensor::Of<float>({2}, kConvBias)});
  values.push_back({"4.weight", Tensor::Of<float>({3, 8}, kLinearWeight)});
  values.push_back({"4.bias", Tensor::Of<float>({3}, kLinearBias)});
  EXPECT_TRUE(WriteSafetensors(path, values).ok());
  return path;
}

TEST(CheckpointWeightsTest, AnswersOfPyTorch) {
  const auto checkpoint = Checkpoint::Open(WriteNet(ConvNetOfPyTorch(), 1));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const std::string path = WriteFileOfPyTorch(), out = NewDirectory() + "/out.bgc";
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  const TensorNames names = *TensorNames::Parse("torch.names", kNames);
  const auto brought = BringWeights(*checkpoint, *file, {.names = names}, out);
  ASSERT_TRUE(brought.ok()) << brought.status();
  const auto copy = Checkpoint::Open(out);
  ASSERT_TRUE(copy.ok()) << copy.status();
  const auto bundle = LoadModel(*copy);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
  ExecContext context({.threads = 1});
  const auto answer = Logits(context, *bundle->model, Tensor::Of<float>({1, 75}, kImage));
  ASSERT_TRUE(answer.ok()) << answer.status();
  for (int64_t i = 0; i < 3; ++i) EXPECT_NEAR(answer->span<float>()[i], kAnswer[i], 1e-6) << i;
  // Back to PyTorch's names and layouts.
  const std::string again = NewDirectory() + "/again.safetensors";
  ASSERT_TRUE(TakeWeights(*copy, names, again).ok());
  EXPECT_EQ(ReadFile(again), ReadFile(path));
}

// What BringWeights() says; it has written nothing.
std::string BringError(const Net& net, const std::vector<NamedValue>& values, const std::string& names_text,
                       bool allow_extra = false) {
  const std::string folder = NewDirectory(), out = folder + "/out.bgc";
  EXPECT_TRUE(WriteSafetensors(folder + "/net.safetensors", values).ok());
  const auto checkpoint = Checkpoint::Open(WriteNet(net, 1));
  const auto names = TensorNames::Parse("net.names", names_text);
  EXPECT_TRUE(checkpoint.ok() && names.ok());
  const absl::Status status = BringWeights(*checkpoint, *SafetensorsFile::Open(folder + "/net.safetensors"),
                                           {.names = *names, .allow_extra = allow_extra}, out)
                                  .status();
  EXPECT_EQ(std::filesystem::exists(out), status.ok());
  return std::string(status.message());
}

// Values of a linear net of two inputs and three outputs, with binary weights.
Net SmallNet() {
  Net net = NetOf("mnist_bnn_mlp_small", {"model.mlp.hidden=[]"});
  net.image = {1, 2, 1};
  net.classes = 3;
  return net;
}

std::vector<NamedValue> SmallValues() {
  std::vector<NamedValue> values;
  values.push_back({"output/weight", Tensor::Of<float>({3, 2}, {1, -1, 0.5f, 0, -0.5f, 0.25f})});
  for (const char* name : {"gamma", "beta", "running_mean", "running_statistic"}) {
    values.push_back({absl::StrCat("output/norm/", name), Tensor::Of<float>({3}, {1, 2, 3})});
  }
  return values;
}

TEST(CheckpointWeightsTest, MissingAndExtraTensors) {
  EXPECT_EQ(BringError(SmallNet(), SmallValues(), ""), "");
  std::vector<NamedValue> values = SmallValues();
  values[0].name = "fc.weight";
  EXPECT_THAT(BringError(SmallNet(), values, ""),
              AllOf(HasSubstr("lacks 1 parameter (output/weight) of the checkpoint"),
                    HasSubstr("it has others, 1 tensor (fc.weight)"), HasSubstr("--names=FILE")));
  EXPECT_EQ(BringError(SmallNet(), values, "output/weight = fc.weight"), "");
  EXPECT_THAT(BringError(SmallNet(), values, "output/weight = fc2.weight"),
              HasSubstr("lacks 1 parameter (output/weight = fc2.weight)"));
  EXPECT_THAT(BringError(SmallNet(), values, "output/weight = -"),
              AllOf(HasSubstr("has 1 tensor (fc.weight) that no parameter"), HasSubstr("--allow_extra")));
  EXPECT_EQ(BringError(SmallNet(), values, "output/weight = -", /*allow_extra=*/true), "");
  EXPECT_THAT(BringError(SmallNet(), values, "\noutput/wieght = fc.weight"), HasSubstr("net.names:2: the checkpoint"));
}

TEST(CheckpointWeightsTest, ShapesAndLayouts) {
  std::vector<NamedValue> values = SmallValues();
  values[0].value = Tensor::Of<float>({2, 3}, {1, -1, 0.5f, 0, -0.5f, 0.25f});
  EXPECT_THAT(BringError(SmallNet(), values, ""),
              AllOf(HasSubstr("parameter 'output/weight': it is [3, 2] here, but 'output/weight' is [2, 3]"),
                    HasSubstr("--names=FILE")));
  EXPECT_EQ(BringError(SmallNet(), values, "output/weight = output/weight transpose"), "");
  EXPECT_THAT(BringError(SmallNet(), values, "# net\noutput/weight = output/weight nchw"),
              HasSubstr("net.names:2: parameter 'output/weight': nchw is for filters"));
  EXPECT_THAT(BringError(SmallNet(), SmallValues(), "output/weight = output/weight transpose"),
              HasSubstr("net.names:1: parameter 'output/weight': it is [3, 2] here, so [2, 3] in the file, but"));
  EXPECT_THAT(BringError(SmallNet(), SmallValues(), "output/weight = output/weight from_nchw(1,1,3)"),
              HasSubstr("from_nchw(1,1,3) is for matrices of 3 columns"));
}

TEST(CheckpointWeightsTest, ValuesThatNoTrainingLeaves) {
  std::vector<NamedValue> values = SmallValues();
  values[0].value.mutable_data<float>()[4] = 1.5f;
  EXPECT_THAT(BringError(SmallNet(), values, ""),
              AllOf(HasSubstr("parameter 'output/weight': the file has the value 1.5, but it has to be from -1 to 1"),
                    HasSubstr("clamp")));
  values[0].value.mutable_data<float>()[4] = NAN;
  EXPECT_THAT(BringError(SmallNet(), values, ""), HasSubstr("tensor 'output/weight' has nan for its element 4"));
  values = SmallValues();
  values[1].value = Tensor::Of<int32_t>({3}, {1, 2, 3});
  EXPECT_THAT(BringError(SmallNet(), values, ""), HasSubstr("'output/norm/gamma' has the dtype I32"));
}

TEST(CheckpointWeightsTest, CheckpointsThatCannotTakeWeights) {
  Net net = NetOf("iris_conntra_mlp", {});
  net.image = {1, 4, 1};
  net.classes = 3;
  EXPECT_THAT(BringError(net, {}, ""), HasSubstr("is of coordinate descent"));
}

}  // namespace
}  // namespace bitgrad
