// Checkpoints whose header says what is not so, under checksums that fit: each lie is found when the file is opened or
// restored.

#include <sys/resource.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <string>

#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/tests/models/checkpoint_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/unknown_field_set.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_metric_sum(0); }, "metric_sum is that of a text"},
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

// The same header as that of a model of text is right, and these changes of it are not.
TEST_F(ChangedHeaderTest, FieldsOfAText) {
  const auto make_text = [](checkpoint::Header& h) {
    h.set_text(checkpoint::WORDS);
    h.set_features(0);
    h.mutable_recipe()->mutable_data()->set_steps(7);
    for (const char* token : {"<eos>", "a", "b"}) h.add_class_names(token);
    for (fingerprint::DataSet* data : {h.mutable_training_data(), h.mutable_validation_data(), h.mutable_test_data()}) {
      data->set_tokens(100);
      data->set_classes(3);
    }
    // Nats, which may be more than 1; batches of up to 7 steps.
    h.mutable_progress()->set_best_valid_error(6.5);
    h.mutable_epochs(0)->set_train_error(7.5);
    h.mutable_progress()->mutable_partial()->set_examples(4 * 50 * 7 - 50);
    h.mutable_progress()->mutable_partial()->set_metric_sum(1000);
    checkpoint::TensorEntry& state = *h.add_states();
    state = h.parameters(0);
    state.set_name("lstm1/h");
  };
  Write(make_text);
  ASSERT_TRUE(Checkpoint::Open(path_).ok()) << Checkpoint::Open(path_).status();
  EXPECT_EQ(ImageShapeOf(Checkpoint::Open(path_)->header()), ImageShape());
  const struct {
    std::function<void(checkpoint::Header&)> change;
    const char* text;
  } cases[] = {
      {[](auto& h) { h.set_text(static_cast<checkpoint::TextUnit>(3)); }, "text is 3"},
      {[](auto& h) { h.set_text(checkpoint::NO_TEXT); }, "training_data.images is 0"},
      {[](auto& h) { h.set_features(5); }, "features of a model of text is 5"},
      {[](auto& h) { h.clear_class_names(); }, "class_names of a model of text: a vocabulary without tokens"},
      {[](auto& h) { h.add_class_names("c"); }, "4 class_names for 3 classes"},
      {[](auto& h) { h.set_class_names(2, "a"); }, "token 2 of the vocabulary, 'a', is empty or stands there twice"},
      {[](auto& h) { h.mutable_validation_data()->set_classes(4); }, "validation_data.classes is 4"},
      {[](auto& h) { h.mutable_test_data()->set_tokens(-1); }, "test_data.tokens is -1"},
      {[](auto& h) { h.mutable_recipe()->mutable_data()->set_steps(0); }, "recipe.data.steps is 0"},
      {[](auto& h) { h.mutable_progress()->set_best_valid_error(-1); }, "best_valid_error is -1, which is negative"},
      {[](auto& h) { h.mutable_epochs(0)->set_train_error(1 / 0.0); }, "train_error is inf"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_examples(4 * 50 * 7 + 1); },
       "progress.partial.examples is 1401, which is not in [200, 1400]"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_metric_sum(-1); }, "metric_sum is -1"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_errors(1); }, "errors is 1, which is not 0"},
      {[](auto& h) { h.mutable_progress()->mutable_partial()->set_metric_sum(NAN); }, "metric_sum is nan"},
      {[](auto& h) { *h.add_states() = h.states(0); }, "two tensors of states are named 'lstm1/h'"},
      {[](auto& h) { h.mutable_states(0)->clear_shape(); }, "states['lstm1/h'] is no matrix"},
      {[](auto& h) { h.mutable_states(0)->set_dtype(2); }, "states['lstm1/h'] is no matrix"},
      {[](auto& h) { h.mutable_states(0)->set_offset(-64); }, "tensor 'lstm1/h'"},
      {[](auto& h) { h.mutable_states(0)->set_crc32(h.states(0).crc32() + 1); }, "tensor 'lstm1/h'"},
      {[](auto& h) {
         h.mutable_progress()->set_batches_done(0);
         h.mutable_progress()->clear_partial();
       },
       "there are 1 states, but progress.batches_done is 0"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    Write([&](checkpoint::Header& header) {
      make_text(header);
      c.change(header);
    });
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

}  // namespace
}  // namespace bitgrad
