// Freezing checkpoints whose recipes preprocess images: what the packed model takes, and that its answers are the
// graph's.

#include "bitgrad/export/freeze_checkpoint.h"

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

class FreezeCheckpointTest : public testing::Test {
 protected:
  // The checkpoint of an untrained model whose preprocessing was fitted, frozen.
  void Freeze(const std::string& preprocessing) {
    const recipe::Recipe recipe = TinyRecipe({"data.preprocessing=" + preprocessing});
    data_ = *LoadDataset("digits", {.limit = 100});
    const auto bundle = MakeModel(recipe, data_.image_shape(), data_.num_classes);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    const auto& texts = recipe.data().preprocessing();
    Preprocessing fitted = *ParsePreprocessing(std::vector<std::string>(texts.begin(), texts.end()));
    ASSERT_TRUE(fitted.SetShape(data_.image_shape()).ok());
    EXPECT_TRUE(fitted.Fit(data_, AllExamples(data_), 1).ok());
    checkpoint::Header header;
    *header.mutable_recipe() = recipe;
    header.set_features(data_.features());
    header.set_classes(data_.num_classes);
    for (const int64_t extent : {28, 28, 1}) header.add_image_shape(extent);
    const std::string path = NewDirectory() + "/some.bgc";
    ASSERT_TRUE(WriteCheckpoint(context_, path, header, *bundle->store, nullptr, fitted).ok());
    path_ = path;

    const auto checkpoint = Checkpoint::Open(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const auto writer = FreezeCheckpoint(context_, *checkpoint);
    ASSERT_TRUE(writer.ok()) << writer.status();
    bytes_ = *writer->Serialize();
    auto packed = PackedModel::FromBytes("frozen", bytes_);
    ASSERT_TRUE(packed.ok()) << packed.status();
    packed_ = *std::move(packed);
    interpreter_ = *Interpreter::Create(*packed_, context_);

    const auto model = LoadModel(*checkpoint);
    const auto preprocessing_of_file = LoadPreprocessing(*checkpoint);
    ASSERT_TRUE(model.ok() && preprocessing_of_file.ok()) << preprocessing_of_file.status();
    const auto loader =
        BatchLoader::Create(data_, AllExamples(data_), {.batch_size = 100, .preprocessing = *preprocessing_of_file});
    EpochBatches batches = loader->Epoch(0);
    images_ = batches.Next()->images.Clone();
    logits_ = *Logits(context_, *model->model, images_);
  }
  absl::StatusOr<Tensor> RunPixels() {
    return interpreter_->RunPixels({data_.images.data<uint8_t>(), data_.size(), data_.features()});
  }
  void ExpectGraphsLogits(const absl::StatusOr<Tensor>& logits) {
    ASSERT_TRUE(logits.ok()) << logits.status();
    ASSERT_EQ(logits->shape(), logits_.shape());
    EXPECT_EQ(std::memcmp(logits->raw_data(), logits_.raw_data(), logits_.byte_size()), 0);
  }

  ExecContext context_{{.threads = 1}};
  Dataset data_;
  std::string path_;  // of the checkpoint
  std::string bytes_;
  std::unique_ptr<PackedModel> packed_;
  std::unique_ptr<Interpreter> interpreter_;
  Tensor images_, logits_;  // of the graph
};

TEST_F(FreezeCheckpointTest, WithoutPreprocessingTakesPixels) {
  ASSERT_NO_FATAL_FAILURE(Freeze("[]"));
  ExpectGraphsLogits(RunPixels());
  ExpectGraphsLogits(interpreter_->Run(images_.matrix<float>()));
}

TEST_F(FreezeCheckpointTest, StandardizationBecomesPartOfTheModel) {
  ASSERT_NO_FATAL_FAILURE(Freeze("mean_std"));
  ExpectGraphsLogits(RunPixels());
}

TEST_F(FreezeCheckpointTest, OtherPreprocessingMakesAModelOfFloats) {
  for (const char* preprocessing : {"gcn", "gcn,zca(0.1)", "mean_std,gcn"}) {
    SCOPED_TRACE(preprocessing);
    ASSERT_NO_FATAL_FAILURE(Freeze(preprocessing));
    EXPECT_FALSE(packed_->header().input().has_pixels());
    ExpectGraphsLogits(interpreter_->Run(images_.matrix<float>()));
    EXPECT_EQ(RunPixels().status().code(), absl::StatusCode::kFailedPrecondition);
  }
}

// The file does not depend on where the checkpoint was frozen.
class FreezeCheckpointOnDeviceTest : public OnTestDevice<FreezeCheckpointTest> {};

TEST_F(FreezeCheckpointOnDeviceTest, GivesTheSameFile) {
  for (const char* preprocessing : {"[]", "mean_std"}) {
    SCOPED_TRACE(preprocessing);
    ASSERT_NO_FATAL_FAILURE(Freeze(preprocessing));
    ExecContext device({.device = TestDevice(), .threads = 2});
    const auto writer = FreezeCheckpoint(device, *Checkpoint::Open(path_));
    ASSERT_TRUE(writer.ok()) << writer.status();
    EXPECT_TRUE(*writer->Serialize() == bytes_);
  }
}

}  // namespace
}  // namespace bitgrad
