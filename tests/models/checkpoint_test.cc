// Checkpoints: round trip, damage of every kind, checkpoints of other models.

#include "bitgrad/models/training/checkpoint.h"

#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>

#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/unknown_field_set.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

MlpOptions TinyOptions() { return {.features = 5, .hidden = {7}, .classes = 3, .weight = Sign()}; }

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

ExecContext& Host() {
  static ExecContext host({.threads = 1});
  return host;
}

checkpoint::Header SomeHeader() {
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

std::string WriteSome(const Trained& trained, bool with_optimizer = true) {
  const std::string path = NewDirectory() + "/some.bgc";
  const absl::Status written =
      WriteCheckpoint(Host(), path, SomeHeader(), trained.store, with_optimizer ? trained.optimizer.get() : nullptr);
  EXPECT_TRUE(written.ok()) << written;
  return path;
}

void ExpectSameTensors(const ParameterStore& a, const ParameterStore& b) {
  ASSERT_EQ(a.parameters().size(), b.parameters().size());
  for (size_t i = 0; i < a.parameters().size(); ++i) {
    const Tensor& x = a.parameters()[i]->value;
    const Tensor& y = b.parameters()[i]->value;
    ASSERT_EQ(x.shape(), y.shape());
    EXPECT_EQ(std::memcmp(x.raw_data(), y.raw_data(), x.byte_size()), 0) << a.parameters()[i]->name;
  }
}

std::string OpenError(const std::string& path) {
  const auto opened = Checkpoint::Open(path);
  EXPECT_FALSE(opened.ok());
  EXPECT_THAT(std::string(opened.status().message()), HasSubstr(path));
  return std::string(opened.status().message());
}

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

// A file with Adam's state of which the header is changed, and all checksums are right.
class ChangedHeaderTest : public testing::Test {
 protected:
  ChangedHeaderTest() : bytes_(ReadFile(WriteSome(Trained()))), path_(NewDirectory() + "/lies.bgc") {}

  void Write(const std::function<void(checkpoint::Header&)>& change) {
    uint64_t header_bytes;
    std::memcpy(&header_bytes, bytes_.data() + 16, 8);
    checkpoint::Header header;
    ASSERT_TRUE(header.ParseFromString(bytes_.substr(64, header_bytes)));
    change(header);
    WriteFile(path_, WithHeader(bytes_, header));
  }

  const std::string bytes_, path_;
};

TEST_F(ChangedHeaderTest, TensorEntries) {
  Write([](checkpoint::Header&) {});
  ASSERT_TRUE(Checkpoint::Open(path_).ok()) << Checkpoint::Open(path_).status();
  const std::function<void(checkpoint::TensorEntry&)> lies[] = {
      [](auto& e) { e.set_shape(0, -1); },
      [](auto& e) { e.set_shape(0, int64_t{1} << 62); },
      [](auto& e) {
        e.clear_shape();
        for (int i = 0; i < 40; ++i) e.add_shape(int64_t{1} << 40);
      },
      [](auto& e) { e.set_shape(0, e.shape(0) + 1); },
      [](auto& e) { e.set_dtype(99); },
      [](auto& e) { e.set_dtype(-1); },
      [](auto& e) { e.set_offset(-64); },
      [](auto& e) { e.set_offset(1); },
      [](auto& e) { e.set_offset(int64_t{1} << 62); },
      [](auto& e) { e.set_byte_size(-1); },
      [](auto& e) { e.set_byte_size(e.byte_size() + 4); },
      [](auto& e) { e.set_crc32(e.crc32() + 1); },
  };
  for (size_t i = 0; i < std::size(lies); ++i) {
    SCOPED_TRACE(i);
    Write([&](checkpoint::Header& header) { lies[i](*header.mutable_parameters(0)); });
    EXPECT_THAT(OpenError(path_), HasSubstr("hidden1/weight"));
    Write([&](checkpoint::Header& header) { lies[i](*header.mutable_optimizer_state(1)); });
    EXPECT_THAT(OpenError(path_), HasSubstr("tensor 'adam/"));
  }
}

// Each is found when the file is opened, whatever it was opened for.
TEST_F(ChangedHeaderTest, FieldsOutOfTheirRange) {
  const struct {
    std::function<void(checkpoint::Header&)> change;
    const char* text;
  } cases[] = {
      {[](auto& h) { h.set_features(-5); }, "features is -5"},
      {[](auto& h) { h.set_features(int64_t{1} << 40); }, "features is 1099511627776"},
      {[](auto& h) { h.set_classes(-1); }, "classes is -1"},
      {[](auto& h) { h.add_image_shape(5); }, "image_shape has 1 extents"},
      {[](auto& h) {
         for (const int64_t extent : {1, 6, 1}) h.add_image_shape(extent);
       },
       "image_shape has 6 values, but features is 5"},
      {[](auto& h) {
         for (const int64_t extent : {-1, -5, 1}) h.add_image_shape(extent);
       },
       "image_shape is -1"},
      {[](auto& h) {
         for (const int64_t extent : {INT32_MAX, INT32_MAX, INT32_MAX}) h.add_image_shape(extent);
       },
       "image_shape has more than"},
      {[](auto& h) { h.add_class_names("cat"); }, "1 class_names for 3 classes"},
      {[](auto& h) { h.mutable_training_data()->set_images(7); }, "training_data.image_shape"},
      {[](auto& h) { h.mutable_test_data()->set_classes(3); }, "test_data.images is 0"},
      {[](auto& h) { h.mutable_recipe()->set_epochs(0); }, "epochs is 0"},
      {[](auto& h) { h.mutable_recipe()->set_batch_size(-1); }, "batch_size is -1"},
      {[](auto& h) { h.mutable_recipe()->set_loss(static_cast<recipe::Loss>(77)); }, "loss is 77"},
      {[](auto& h) {
         h.mutable_recipe()->mutable_model()->mutable_mlp()->mutable_norm()->set_running_statistic(
             static_cast<recipe::BatchNorm::RunningStatistic>(9));
       },
       "model.mlp.norm.running_statistic is 9"},
      {[](auto& h) {
         recipe::Mlp& mlp = *h.mutable_recipe()->mutable_model()->mutable_mlp();
         mlp.GetReflection()->MutableUnknownFields(&mlp)->AddVarint(77, 1);
       },
       "fields that this build does not know"},
      {[](auto& h) { h.mutable_recipe()->clear_model(); }, "there is no model"},
      {[](auto& h) { h.mutable_progress()->set_epoch(-1); }, "progress.epoch is -1"},
      {[](auto& h) { h.mutable_progress()->set_epoch(4); }, "progress.epoch is 4"},
      {[](auto& h) { h.mutable_progress()->set_epoch(1); }, "progress.best_epoch is 2"},
      {[](auto& h) { h.mutable_progress()->set_batches_done(-1); }, "progress.batches_done is -1"},
      {[](auto& h) { h.mutable_progress()->set_batches_done(INT64_MAX); },
       "progress.batches_done is 9223372036854775807"},
      {[](auto& h) { h.mutable_progress()->set_batches_done(5); }, "progress.partial.steps is 4"},
      {[](auto& h) { h.mutable_progress()->set_best_epoch(0); }, "progress.best_epoch is 0"},
      {[](auto& h) { h.mutable_progress()->set_best_epoch(-5); }, "progress.best_epoch is -5"},
      {[](auto& h) { h.mutable_progress()->set_best_epoch(1000); }, "progress.best_epoch is 1000"},
      {[](auto& h) { h.mutable_progress()->set_best_epoch(INT32_MAX); }, "progress.best_epoch is 2147483647"},
      {[](auto& h) { h.mutable_progress()->set_best_valid_error(1.5); }, "best_valid_error is 1.5"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_loss_sum(1 / 0.0); }, "loss_sum is inf"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_errors(201); }, "partial.errors is 201"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_examples(INT64_MAX); }, "partial.examples is"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_seconds(-1); }, "partial.seconds is -1"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->mutable_layers(0)->set_sign_flips(71); },
       "partial.layers['hidden1'].sign_flips is 71"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->mutable_layers(0)->set_weights(INT64_MAX); },
       "partial.layers['hidden1'].weights is"},
      {[](auto& h) { h.add_epochs()->set_epoch(3); }, "there are 3 epochs, but progress.epoch is 2"},
      {[](auto& h) { h.mutable_epochs()->RemoveLast(); }, "there are 1 epochs"},
      {[](auto& h) { h.mutable_epochs(0)->set_epoch(2); }, "epochs[0].epoch is 2"},
      {[](auto& h) { h.mutable_epochs(1)->set_valid_error(-1); }, "epochs[1].valid_error is -1"},
      {[](auto& h) { h.mutable_epochs(1)->set_loss(std::nan("")); }, "epochs[1].loss is nan"},
      {[](auto& h) { h.set_optimizer_steps(-1); }, "optimizer_steps is -1"},
      {[](auto& h) { h.set_optimizer_steps(INT64_MAX); }, "optimizer_steps is 9223372036854775807"},
      {[](auto& h) { *h.add_parameters() = h.parameters(0); }, "two tensors of parameters are named 'hidden1/weight'"},
      {[](auto& h) { h.mutable_optimizer_state(0)->set_name(""); }, "a tensor of optimizer_state has no name"},
      {[](auto& h) { h.set_producer("\xff"); }, "not UTF-8"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Write(c.change);
    EXPECT_THAT(OpenError(path_), HasSubstr(c.text));
  }
}

// Tensors that are there and right, but not those of the model.
TEST_F(ChangedHeaderTest, TensorsOfAnotherModel) {
  const std::function<void(checkpoint::Header&)> others[] = {
      [](auto& h) { h.mutable_parameters()->RemoveLast(); },
      [](auto& h) { h.mutable_parameters(0)->set_name("other"); },
      [](auto& h) {
        *h.add_parameters() = h.parameters(0);
        h.mutable_parameters(h.parameters_size() - 1)->set_name("other");
      },
  };
  for (size_t i = 0; i < std::size(others); ++i) {
    SCOPED_TRACE(i);
    Write(others[i]);
    const auto checkpoint = Checkpoint::Open(path_);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    Trained other;
    EXPECT_THAT(std::string(checkpoint->RestoreParameters(other.store).message()), HasSubstr("another model"));
  }
  Write([](auto& h) { h.clear_recipe(); });
  EXPECT_THAT(std::string(LoadModel(*Checkpoint::Open(path_)).status().message()), HasSubstr("has no recipe"));
}

int64_t PeakBytes() {
  rusage usage;
  EXPECT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  return int64_t{usage.ru_maxrss} << 10;
}

// A layer of 2^28 inputs would take gigabytes before its parameters were compared with the file's.
TEST_F(ChangedHeaderTest, ParametersAreComparedBeforeTheyGetMemory) {
  const int64_t before = PeakBytes();
  Write([](auto& h) { h.set_features(1 << 28); });
  const auto features = Checkpoint::Open(path_);
  ASSERT_TRUE(features.ok()) << features.status();
  EXPECT_THAT(std::string(LoadModel(*features).status().message()),
              AllOf(HasSubstr(path_), HasSubstr("another model"), HasSubstr("[16, 268435456] in the model")));
  Write([](auto& h) { h.mutable_recipe()->mutable_model()->mutable_mlp()->set_hidden(0, 1 << 27); });
  const auto hidden = Checkpoint::Open(path_);
  ASSERT_TRUE(hidden.ok()) << hidden.status();
  EXPECT_THAT(std::string(LoadModel(*hidden).status().message()), HasSubstr("[134217728, 5] in the model"));
  EXPECT_LT(PeakBytes() - before, 200 << 20);
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
