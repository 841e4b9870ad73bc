// The nets of all built-in recipes have, after three steps from seed 1, the very bits that they had in earlier
// versions: checksums of all parameters, of the packed model's program, and of its weights and thresholds. Of nets that
// are searched without gradients they are those of the initial values.
//
// One thread, and oneDNN held to AVX2 by the build file (ONEDNN_MAX_CPU_ISA), since its sums of floats are rounded
// otherwise with other instructions. Where a checksum changes, either a fault was mended, and the commit that changes
// it here says which, or one was made.

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/language_modeling.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/runtime/packed_model.h"
#include "gtest/gtest.h"
#include "zlib.h"

namespace bitgrad {
namespace {

constexpr int64_t kBatch = 8;
constexpr int64_t kClasses = 10;  // or tokens
constexpr int64_t kSteps = 5;     // of texts

// Both of program and blobs are 0 for nets that have no packed form.
struct Expected {
  const char* recipe;
  uint32_t parameters;
  uint32_t program;
  uint32_t blobs;
};

constexpr Expected kExpected[] = {
    {"cifar10_binaryconnect_vgg", 0x21450ba7, 0xb1773e9a, 0x3eb199d4},
    {"cifar10_birealnet20", 0x450bfb77, 0xba5b1606, 0x021b63b2},
    {"cifar10_bitpruning_vgg_tiny", 0x84c68bce, 0xbb577f52, 0xe34de570},
    {"cifar10_bnn_vgg", 0x5203b2ca, 0xdda30b45, 0xcee8d755},
    {"cifar10_bnn_vgg_tiny", 0x28bef1b3, 0x171dbdfe, 0xf4e284bd},
    {"cifar10_bnnplus_vgg_tiny", 0xd0a64bf9, 0x269715db, 0xf917df26},
    {"cifar10_bop_vgg_tiny", 0xf3196ed3, 0x171dbdfe, 0x26e086e4},
    {"cifar10_dorefa2_vgg_tiny", 0xbabea677, 0xf0016dde, 0x1ab38f10},
    {"cifar10_few_multiplications_binary_qbp_vgg", 0x7f8c92ad, 0xac55023a, 0x1db3503e},
    {"cifar10_few_multiplications_binary_vgg", 0x57b9734d, 0xac55023a, 0x8461d5e7},
    {"cifar10_few_multiplications_float_vgg", 0x186278ad, 0xac55023a, 0x6f4a2491},
    {"cifar10_few_multiplications_ternary_qbp_vgg", 0x8e82dc26, 0xac55023a, 0x43895621},
    {"cifar10_float_vgg", 0xfe0a1b46, 0xb1773e9a, 0xd6d07136},
    {"cifar10_float_vgg_tiny", 0x053f9620, 0x76258717, 0xc9dc56c2},
    {"cifar10_log_gradient_vgg_tiny", 0xa7802396, 0x171dbdfe, 0x6d4db928},
    {"cifar10_lsq2_vgg_tiny", 0x62f391f2, 0xb9a14edb, 0x7a2ca273},
    {"cifar10_maxout_dynamic_fixed_conv_net", 0x9ba308d2, 0xc6d2a17d, 0x49b3268b},
    {"cifar10_maxout_fixed_conv_net", 0x8c36eda1, 0xbb5e1958, 0xc2218a1e},
    {"cifar10_maxout_float_conv_net", 0x41cd38b1, 0x85d32dd4, 0x3eaa5ee5},
    {"cifar10_maxout_half_conv_net", 0x3f44f334, 0x600cb6ae, 0x3aec3260},
    {"cifar10_pact2_vgg_tiny", 0xc9c38523, 0x464dddd7, 0x35924ed2},
    {"cifar10_resnet20_small", 0xba0e9494, 0xc7d509e1, 0xf6167d73},
    {"cifar10_sal_resnet20", 0x748b1f97, 0xd4edb35e, 0x9dc52b6a},
    {"cifar10_sal_resnet20_small", 0xe0478d80, 0xb7fad679, 0xe78c6657},
    {"cifar10_shift_resnet20_small", 0x11f2ad0e, 0xab98be1c, 0x42b9ebd3},
    {"cifar10_spline_nin", 0xfef7696c, 0x656ea506, 0x74122702},
    {"cifar10_spline_resnet32", 0xb8e68eb7, 0x1112ea2f, 0x9c14241b},
    {"circle_leaky_relu_mlp", 0x4ac775f7, 0xf1102c0f, 0x00b293ac},
    {"circle_prelu_mlp", 0x094ce1fe, 0x54730e05, 0xb117e9fd},
    {"circle_relu_mlp", 0xa979b73c, 0x7729c819, 0x917462a3},
    {"circle_spline_mlp", 0x74e607dd, 0x3d90e47d, 0x01f7e960},
    {"digits_bnn_mlp", 0x3a507217, 0x1832d859, 0x0c99a989},
    {"imagenet_birealnet18", 0xd4bbe4f8, 0x8a773ec7, 0x93cdd2fb},
    {"imagenet_bnn_alexnet", 0x50749ef8, 0x75768489, 0x4ea2678e},
    {"imagenet_dorefa_alexnet", 0x55ab8449, 0x45e4d258, 0x875857b7},
    {"imagenet_sal_resnet", 0x23bc3ad1, 0xd1d8689c, 0x425e9cda},
    {"iris_conntra_mlp", 0xad3281af, 0x93ff318a, 0x73189824},
    {"iris_float_mlp", 0x46253183, 0xb749359c, 0x3bec224f},
    {"mnist_binaryconnect_mlp", 0x294ed357, 0xa3476d3f, 0x00297934},
    {"mnist_binaryconnect_stochastic_mlp", 0xf37c2fc0, 0xa3476d3f, 0xbe505920},
    {"mnist_bitpruning_mlp", 0x8c26b540, 0xce7bfda2, 0x4f228d1d},
    {"mnist_bnn_lenet", 0x2175cfbc, 0x9f6492b0, 0x1d574bf4},
    {"mnist_bnn_mlp", 0xc21be533, 0x1832d859, 0x57186e10},
    {"mnist_bnn_mlp_small", 0x008b5079, 0x1832d859, 0x55507e78},
    {"mnist_bnnplus_mlp", 0xd159f65e, 0x69aa3395, 0xa42b4043},
    {"mnist_bop_mlp", 0xf154146b, 0x1832d859, 0xc561f8b9},
    {"mnist_conntra_linear", 0x0fae3702, 0xfdf2cc0d, 0x4a771c32},
    {"mnist_conntra_mlp", 0x3b0cfc47, 0xec158df7, 0xfbcb402d},
    {"mnist_dorefa2_mlp", 0x386e73c0, 0x23357946, 0xecb12e0c},
    {"mnist_few_multiplications_binary_mlp", 0x2cd89104, 0xfbe4c707, 0x247f9139},
    {"mnist_few_multiplications_binary_qbp_mlp", 0xf931170a, 0xfbe4c707, 0x5ad706e7},
    {"mnist_few_multiplications_float_mlp", 0x7cc26715, 0xfbe4c707, 0x33086583},
    {"mnist_few_multiplications_ternary_qbp_mlp", 0x8f24096a, 0xfbe4c707, 0xaa4056ab},
    {"mnist_float_mlp", 0x6e48d29a, 0xfbe4c707, 0x6c08b958},
    {"mnist_linear", 0x569cfb8d, 0x8ec26f57, 0x77b351b1},
    {"mnist_log_gradient_mlp", 0x2db9c44f, 0x1832d859, 0xaca86cfb},
    {"mnist_lsq2_mlp", 0x0406bff1, 0x453c188f, 0xe7444156},
    {"mnist_maxout_dynamic_fixed_conv_net", 0x85d9e729, 0xbc5c18bf, 0x8c938e7c},
    {"mnist_maxout_dynamic_fixed_mlp", 0xc0eaa13a, 0x294130df, 0xff6ebc4e},
    {"mnist_maxout_fixed_conv_net", 0xf75f31b9, 0xc9a53059, 0x9d7ce45d},
    {"mnist_maxout_fixed_mlp", 0xf33e904d, 0xd4a020a0, 0x0b8979d4},
    {"mnist_maxout_float_conv_net", 0x95fb78f9, 0x6e767454, 0xc377de1b},
    {"mnist_maxout_float_mlp", 0xb3ecea85, 0x63b6ee9c, 0x2e8de6eb},
    {"mnist_maxout_half_conv_net", 0x04b9422c, 0x7a98e7f7, 0x5f6f3883},
    {"mnist_maxout_half_mlp", 0xaf5c734b, 0xb9061c8d, 0x046d3778},
    {"mnist_pact2_mlp", 0x2e717440, 0xf451c439, 0xec8bf282},
    {"mnist_pixel_lstm", 0xf74ab559, 0, 0},
    {"mnist_relu_convnet", 0xbc298113, 0x08b7c632, 0x18f59dd0},
    {"mnist_row_lstm", 0x766ff374, 0, 0},
    {"mnist_shift_bnn_mlp", 0x2ab53eba, 0x1832d859, 0x166c5567},
    {"mnist_spline_convnet", 0x9afa4683, 0x21c4c655, 0x197008e3},
    {"ptb_binary_lstm", 0x5fd849d4, 0x7ba22e18, 0x5247f57f},
    {"ptb_char_rnn", 0x03599c19, 0xf90977ab, 0x79eaec0d},
    {"ptb_float_lstm", 0xb8e75f0b, 0xe6b9a863, 0x4de87a55},
    {"ptb_float_lstm_900", 0x6e8bd9c0, 0x8f578fdf, 0x53a7021d},
    {"ptb_lstm_2bit", 0xb29eaf65, 0x6bb91329, 0xa440a00e},
    {"ptb_lstm_3bit", 0x7eafa69b, 0xec50ed78, 0xa6bc10b5},
    {"ptb_lstm_4bit", 0x20d4a59e, 0xec50ed78, 0x09240a54},
    {"ptb_lstm_900_4bit", 0x49d7d817, 0xffeca061, 0x93ede188},
    {"s_shape_leaky_relu_mlp", 0x0f93d1a0, 0x63762307, 0xd559597f},
    {"s_shape_prelu_mlp", 0x9976e2fe, 0x88543f30, 0x7d842b6c},
    {"s_shape_relu_mlp", 0x666ca31e, 0xcdcf019b, 0x22622a6c},
    {"s_shape_spline_mlp", 0x86962ff9, 0xf4578c9c, 0xc15346c8},
    {"shakespeare_char_float_lstm", 0x3b945163, 0x7c876e78, 0xd65d9855},
    {"shakespeare_char_lstm_4bit", 0x61857fe5, 0xb4f00c0f, 0x3e422d44},
    {"svhn_bnn_vgg", 0x247db513, 0x7f11811b, 0x540d29a8},
    {"temporal_order_lstm_4bit", 0xbb3d521f, 0, 0},
};

bool ReadsTokens(const recipe::Recipe& recipe) {
  return recipe.data().name() == "words" || recipe.data().name() == "characters";
}

// Nets of folders of images get small ones.
ImageShape ImageOf(const std::string& recipe) {
  if (absl::StartsWith(recipe, "imagenet_birealnet") || recipe == "imagenet_sal_resnet") return {64, 64, 3};
  if (absl::StartsWith(recipe, "imagenet_")) return {67, 67, 3};
  if (absl::StartsWith(recipe, "temporal_order_")) return {30, 8, 1};
  if (absl::StartsWith(recipe, "circle_") || absl::StartsWith(recipe, "s_shape_")) return {1, 2, 1};
  if (absl::StartsWith(recipe, "iris_")) return {1, 4, 1};
  if (absl::StartsWith(recipe, "mnist_") || absl::StartsWith(recipe, "digits_")) return {28, 28, 1};
  return {32, 32, 3};
}

uint32_t Add(uint32_t crc, const void* bytes, size_t size) {
  return static_cast<uint32_t>(crc32_z(crc, static_cast<const Bytef*>(bytes), size));
}

// Of what a packed file computes, without what it says about itself.
uint32_t ProgramChecksum(const PackedModel& model) {
  uint32_t crc = 0;
  for (const packed::Instruction& instruction : model.header().instructions()) {
    const std::string text = instruction.SerializeAsString();
    crc = Add(crc, text.data(), text.size());
  }
  return crc;
}

// Of the contents of all blobs, in whatever order.
uint32_t BlobsChecksum(const PackedModel& model) {
  std::vector<uint32_t> blobs;
  for (const packed::Blob& blob : model.header().blobs()) blobs.push_back(blob.crc32());
  std::sort(blobs.begin(), blobs.end());
  return Add(0, blobs.data(), blobs.size() * sizeof(uint32_t));
}

// The blobs of the one recipe with activations of several bits, as they were before these ended in thresholds of
// several levels.
constexpr char kSeveralLevels[] = "imagenet_dorefa_alexnet";
constexpr uint32_t kBlobsWithoutLevels = 0x3847574d;

void TrainThreeSteps(ExecContext& context, const recipe::Recipe& recipe, const ImageShape& image, Model& model,
                     ParameterStore& store) {
  const bool reads_tokens = ReadsTokens(recipe);
  const auto optimizer = OptimizerOf(recipe.optimizer(), context);
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  const std::unique_ptr<Task> task =
      reads_tokens ? LanguageModeling({.vocabulary = kClasses, .steps = kSteps})
                   : Classification({.features = image.features(), .classes = kClasses, .loss = recipe.loss()});
  TrainingStep step(context, model, *task, store.parameters(), **optimizer);
  std::mt19937 random(1);
  const auto fill = [&](Tensor& tensor) {
    if (tensor.dtype() == DType::kInt32) {
      for (int32_t& id : tensor.mutable_span<int32_t>()) id = static_cast<int32_t>(random() % kClasses);
    } else {
      for (float& pixel : tensor.mutable_span<float>()) {
        pixel = static_cast<float>(2 * static_cast<int>(random() >> 24) - 255) / 255;
      }
    }
  };
  for (int i = 0; i < 3; ++i) {
    Batch batch;
    if (reads_tokens) {
      batch.tokens = Tensor({kSteps, kBatch}, DType::kInt32);
      batch.targets = Tensor({kSteps, kBatch}, DType::kInt32);
      fill(batch.tokens);
      fill(batch.targets);
    } else {
      batch.images = Tensor({kBatch, image.features()}, DType::kFloat32);
      batch.labels = Tensor({kBatch}, DType::kInt32);
      fill(batch.images);
      fill(batch.labels);
    }
    ASSERT_TRUE(step.Enqueue(batch, recipe.optimizer().learning_rate()).ok());
    const auto result = step.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
  }
}

class RecipeBitsTest : public testing::TestWithParam<Expected> {};

TEST_P(RecipeBitsTest, AreThoseOfEarlierVersions) {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "the checksums are those of AVX2";
#else
  GTEST_SKIP() << "the checksums are those of x86-64";
#endif
  const std::string name = GetParam().recipe;
  const auto recipe = LoadRecipe(name);
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  const bool reads_tokens = ReadsTokens(*recipe);
  const ImageShape image = reads_tokens ? ImageShape{} : ImageOf(name);
  ParameterStore store(/*seed=*/1);
  const auto model = MakeNetwork(recipe->model(), image, kClasses, store);
  ASSERT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1, .seed = 1});
  if (recipe->has_coordinate_descent()) {
    const auto net = DiscreteMlp::Create(context, *recipe, **model, store);
    ASSERT_TRUE(net.ok()) << net.status();
    (*net)->Randomize(/*seed=*/1);
  } else {
    ASSERT_NO_FATAL_FAILURE(TrainThreeSteps(context, *recipe, image, **model, store));
  }

  uint32_t parameters = 0;
  for (const Parameter* parameter : store.parameters()) {
    parameters = Add(parameters, parameter->name.data(), parameter->name.size());
    parameters = Add(parameters, parameter->value.raw_data(), parameter->value.byte_size());
  }
  if (GetParam().program == 0 && GetParam().blobs == 0) {
    EXPECT_EQ(parameters, GetParam().parameters) << absl::StrFormat("now {\"%s\", 0x%08x, 0, 0},", name, parameters);
    return;
  }
  const Tensor example = reads_tokens ? Tensor::Zeros({3}, DType::kInt32) : Tensor::Zeros({1, image.features()});
  const auto freeze = [&](int max_levels) {
    const auto writer = Freeze(context, **model, example, FreezeOptions{.max_levels = max_levels});
    EXPECT_TRUE(writer.ok()) << writer.status();
    const auto bytes = writer.ok() ? writer->Serialize() : writer.status();
    EXPECT_TRUE(bytes.ok()) << bytes.status();
    return PackedModel::FromBytes(name, bytes.ok() ? *bytes : "");
  };
  const auto packed = freeze(FreezeOptions().max_levels);
  ASSERT_TRUE(packed.ok()) << packed.status();
  if (name == kSeveralLevels) {
    const auto without = freeze(/*max_levels=*/1);
    ASSERT_TRUE(without.ok()) << without.status();
    EXPECT_EQ(BlobsChecksum(**without), kBlobsWithoutLevels);
  }
  const uint32_t program = ProgramChecksum(**packed), blobs = BlobsChecksum(**packed);
  EXPECT_TRUE(parameters == GetParam().parameters && program == GetParam().program && blobs == GetParam().blobs)
      << absl::StrFormat("now {\"%s\", 0x%08x, 0x%08x, 0x%08x},", name, parameters, program, blobs);
}

INSTANTIATE_TEST_SUITE_P(Recipes, RecipeBitsTest, testing::ValuesIn(kExpected),
                         [](const auto& info) { return std::string(info.param.recipe); });

TEST(RecipeBits, AreKnownOfEveryRecipe) {
  for (const BuiltInRecipe& recipe : BuiltInRecipes()) {
    EXPECT_TRUE(std::any_of(std::begin(kExpected), std::end(kExpected),
                            [&](const Expected& expected) { return recipe.name == std::string(expected.recipe); }))
        << recipe.name << " has no checksums: add a line";
  }
}

}  // namespace
}  // namespace bitgrad
