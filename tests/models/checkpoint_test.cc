// Checkpoints: round trip, damage of every kind, checkpoints of other models. Headers that lie are in
// checkpoint_header_test.cc.

#include "bitgrad/models/training/checkpoint.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/checkpoint_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(CheckpointTest, RoundTripContinuesBitForBit) {
  Trained first;
  const std::string path = WriteSome(first);
  const auto checkpoint = Checkpoint::Open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->header().random_step(), 17u);
  EXPECT_EQ(checkpoint->header().optimizer_steps(), 2);
  EXPECT_EQ(checkpoint->header().progress().SerializeAsString(), SomeHeader().progress().SerializeAsString());
  EXPECT_EQ(checkpoint->header().recipe().SerializeAsString(), SomeHeader().recipe().SerializeAsString());
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));

  Trained second;
  for (int i = 0; i < 3; ++i) second.Step();
  ASSERT_TRUE(checkpoint->RestoreParameters(second.store).ok());
  ASSERT_TRUE(checkpoint->RestoreOptimizer(second.store, *second.optimizer).ok());
  ExpectSameTensors(first.store, second.store);
  for (int i = 0; i < 3; ++i) {
    first.Step();
    second.Step();
  }
  ExpectSameTensors(first.store, second.store);
  EXPECT_EQ(first.optimizer->step_count(), 5);
}

TEST(CheckpointTest, GetGivesACopyOfOneTensor) {
  const Trained trained;
  const auto checkpoint = Checkpoint::Open(WriteSome(trained));
  ASSERT_TRUE(checkpoint.ok());
  const auto weight = checkpoint->Get("hidden1/weight");
  ASSERT_TRUE(weight.ok());
  EXPECT_EQ(weight->span<float>(), trained.store.Find("hidden1/weight")->value.span<float>());
  EXPECT_THAT(std::string(checkpoint->Get("hidden9/weight").status().message()), HasSubstr("hidden9/weight"));
}

TEST(CheckpointTest, WithoutOptimizerState) {
  Trained trained;
  const auto checkpoint = Checkpoint::Open(WriteSome(trained, /*with_optimizer=*/false));
  ASSERT_TRUE(checkpoint.ok());
  EXPECT_TRUE(checkpoint->RestoreParameters(trained.store).ok());
  EXPECT_THAT(std::string(checkpoint->RestoreOptimizer(trained.store, *trained.optimizer).message()),
              HasSubstr("holds no optimizer state"));
}

TEST(CheckpointTest, OfAnotherOptimizer) {
  Trained trained;
  const auto checkpoint = Checkpoint::Open(WriteSome(trained));
  ASSERT_TRUE(checkpoint.ok());
  const auto adamax = *MakeOptimizer(trained.context, "adamax", {.learning_rate = 0.01});
  const absl::Status status = checkpoint->RestoreOptimizer(trained.store, *adamax);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("some.bgc"), HasSubstr("adamax")));
}

TEST(CheckpointTest, OfAnotherModelChangesNothing) {
  const Trained trained;
  const auto checkpoint = Checkpoint::Open(WriteSome(trained));
  ASSERT_TRUE(checkpoint.ok());
  MlpOptions wider = TinyOptions(), deeper = TinyOptions(), shallower = TinyOptions();
  wider.hidden = {8};
  deeper.hidden = {7, 7};
  shallower.hidden = {};
  shallower.classes = 3;
  for (const MlpOptions& options : {wider, deeper, shallower}) {
    Trained other(options), untouched(options);
    const absl::Status status = checkpoint->RestoreParameters(other.store);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()),
                AllOf(HasSubstr("some.bgc"), HasSubstr("another model"), HasSubstr("'")));
    ExpectSameTensors(other.store, untouched.store);
  }
}

TEST(CheckpointTest, NoCheckpointAtAll) {
  const std::string directory = NewDirectory();
  EXPECT_THAT(OpenError(directory + "/missing.bgc"), HasSubstr("No such file"));
  OpenError(directory);
  WriteFile(directory + "/empty.bgc", "");
  OpenError(directory + "/empty.bgc");
  WriteFile(directory + "/zeros.bgc", std::string(1000, '\0'));
  EXPECT_THAT(OpenError(directory + "/zeros.bgc"), HasSubstr("not a checkpoint"));
  WriteFile(directory + "/text.bgc", "name: \"digits_bnn_mlp\"\n" + std::string(100, '\n'));
  EXPECT_THAT(OpenError(directory + "/text.bgc"), HasSubstr("not a checkpoint"));
}

TEST(CheckpointTest, TruncatedAnywhereAndWithTooMuch) {
  const Trained trained;
  const std::string path = WriteSome(trained);
  const std::string bytes = ReadFile(path);
  const std::string cut = NewDirectory() + "/cut.bgc";
  for (size_t size = 0; size < bytes.size(); size += size < 200 || size > bytes.size() - 200 ? 1 : 37) {
    WriteFile(cut, bytes.substr(0, size));
    ASSERT_FALSE(Checkpoint::Open(cut).ok()) << size;
  }
  for (const size_t more : {1, 64}) {
    WriteFile(cut, bytes + std::string(more, '\0'));
    EXPECT_THAT(OpenError(cut), HasSubstr("bytes"));
  }
}

// A flipped bit is an error; in the zeros between tensors it may pass, for it changes nothing that
// is read.
TEST(CheckpointTest, FlippedBits) {
  const Trained trained;
  const std::string bytes = ReadFile(WriteSome(trained));
  const std::string path = NewDirectory() + "/flipped.bgc";
  const uint32_t seed = 11;
  std::mt19937 random(seed);
  int passed = 0;
  Trained other;
  for (size_t i = 0; i < bytes.size(); i += i < 256 ? 1 : 3) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ (1 << random() % 8));
    WriteFile(path, flipped);
    const auto opened = Checkpoint::Open(path);
    if (!opened.ok()) {
      ASSERT_THAT(std::string(opened.status().message()), HasSubstr(path));
      continue;
    }
    ++passed;
    ASSERT_EQ(bytes[i], '\0') << "byte " << i;
    for (Parameter* parameter : other.store.parameters()) {
      std::fill_n(parameter->value.mutable_data<float>(), parameter->value.num_elements(), 7.0f);
    }
    ASSERT_TRUE(opened->RestoreParameters(other.store).ok());
    ASSERT_TRUE(opened->RestoreOptimizer(other.store, *other.optimizer).ok());
    ExpectSameTensors(trained.store, other.store);
  }
  EXPECT_LT(passed, static_cast<int>(bytes.size()) / 2);
}

// What is written is read back before it takes the old file's place.
TEST(CheckpointTest, AHeaderThatCannotBeReadIsNotWritten) {
  Trained trained;
  const std::string path = WriteSome(trained), before = ReadFile(path);
  const std::function<void(checkpoint::Header&)> unreadable[] = {
      [](auto& h) { h.mutable_recipe()->set_description("\xff"); },
      [](auto& h) { h.mutable_progress()->set_best_epoch(-5); },
      [](auto& h) { h.mutable_epochs(0)->set_loss(std::nan("")); },
  };
  for (const auto& change : unreadable) {
    checkpoint::Header header = SomeHeader();
    change(header);
    const absl::Status status = WriteCheckpoint(Host(), path, header, trained.store, trained.optimizer.get());
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path), HasSubstr("it would not be readable")));
    EXPECT_TRUE(ReadFile(path) == before);
    EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
  }
}

TEST(CheckpointTest, PreprocessingComesBackOrIsRefused) {
  const Trained trained;
  const std::string path = NewDirectory() + "/some.bgc";
  Preprocessing learned = *ParsePreprocessing({"gcn", "mean_std"});
  ASSERT_TRUE(learned.SetShape({1, 1, 5}).ok());
  for (const LearnedTensor& part : learned.learned()) {
    for (int i = 0; i < 5; ++i) part.tensor->mutable_data<float>()[i] = static_cast<float>(i) + 0.5f;
  }
  ASSERT_TRUE(WriteCheckpoint(Host(), path, SomeHeader(), trained.store, nullptr, learned).ok());
  const auto checkpoint = Checkpoint::Open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();

  Preprocessing same = *ParsePreprocessing({"gcn", "mean_std"});
  ASSERT_TRUE(same.SetShape({1, 1, 5}).ok());
  ASSERT_TRUE(checkpoint->RestorePreprocessing(same).ok());
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(same.learned()[i].tensor->span<float>(), learned.learned()[i].tensor->span<float>());
  }
  const std::vector<std::vector<std::string>> others = {
      {}, {"mean_std"}, {"mean_std", "gcn"}, {"gcn", "mean_std", "mean_std"}, {"gcn", "zca"}};
  for (const std::vector<std::string>& texts : others) {
    Preprocessing other = *ParsePreprocessing(texts);
    ASSERT_TRUE(other.SetShape({1, 1, 5}).ok());
    const absl::Status status = checkpoint->RestorePreprocessing(other);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(path), HasSubstr("preprocessing")));
  }
  Preprocessing wider = *ParsePreprocessing({"gcn", "mean_std"});
  ASSERT_TRUE(wider.SetShape({1, 1, 6}).ok());
  EXPECT_FALSE(checkpoint->RestorePreprocessing(wider).ok());
}

TEST(CheckpointTest, ImagesOfOldFilesAreARowOfPixels) {
  checkpoint::Header header = SomeHeader();
  header.set_features(12);
  EXPECT_EQ(ImageShapeOf(header), (ImageShape{1, 12, 1}));
  for (const int64_t extent : {2, 2, 3}) header.add_image_shape(extent);
  EXPECT_EQ(ImageShapeOf(header), (ImageShape{2, 2, 3}));
}

TEST(CheckpointTest, UnwritablePlacesAreNamed) {
  const Trained trained;
  const std::string directory = NewDirectory();
  for (const std::string& path : {directory + "/missing/some.bgc", directory}) {
    const absl::Status status = WriteCheckpoint(Host(), path, SomeHeader(), trained.store, nullptr);
    EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  }
}

TEST(CheckpointTest, AFailedWriteLeavesTheOldOne) {
  Trained trained;
  const std::string path = WriteSome(trained);
  const std::string before = ReadFile(path);
  // What a killed process leaves of the temporary file is no obstacle.
  WriteFile(path + ".tmp", before.substr(0, 100));
  EXPECT_TRUE(Checkpoint::Open(path).ok());
  trained.Step();
  ASSERT_TRUE(WriteCheckpoint(Host(), path, SomeHeader(), trained.store, trained.optimizer.get()).ok());
  EXPECT_NE(ReadFile(path), before);
  EXPECT_TRUE(Checkpoint::Open(path).ok());
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

}  // namespace
}  // namespace bitgrad
