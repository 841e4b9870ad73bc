// TensorBoard's files of runs: every number of the record is there, once; what a resumed, killed or hindered run
// leaves.

#include "bitgrad/report/tensorboard.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/data/png.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/report/event_file.h"
#include "bitgrad/tests/data/text_files.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using tensorboard::Event;
using tensorboard::Summary;
using testing::ElementsAre;
using testing::HasSubstr;

// All that a folder's files tell, with START honoured as TensorBoard does it.
struct Board {
  std::map<std::pair<std::string, int64_t>, Summary::Value> values;  // by tag and step
  std::vector<int64_t> starts;
  int repeated = 0;  // values that were there already
};

Board ReadBoard(const std::string& folder) {
  Board board;
  for (const std::string& path : EventFilesIn(folder)) {
    std::vector<Event> events;
    (void)ReadEventFile(path, events);  // tests cut files off
    EXPECT_EQ(events.at(0).file_version(), "brain.Event:2");
    double wall_time = 0;
    for (const Event& event : events) {
      EXPECT_GE(event.wall_time(), wall_time);
      EXPECT_GT(event.wall_time(), WallTime() - 3600);
      wall_time = event.wall_time();
      if (event.session_log().status() == tensorboard::SessionLog::START) {
        board.starts.push_back(event.step());
        for (auto it = board.values.begin(); it != board.values.end();) {
          it = it->first.second >= event.step() ? board.values.erase(it) : std::next(it);
        }
      }
      for (const Summary::Value& value : event.summary().value()) {
        board.repeated += !board.values.insert({{value.tag(), event.step()}, value}).second;
      }
    }
  }
  return board;
}

absl::StatusOr<TrainResult> TrainWatched(const recipe::Recipe& recipe, TrainOptions options, const std::string& board,
                                         Log& log) {
  auto writer = TensorBoardWriter::Create(board, options.resume);
  if (!writer.ok()) return writer.status();
  options.observers = {*std::move(writer)};
  return Train(recipe, options, log);
}

void TrainWatched(const recipe::Recipe& recipe, TrainOptions options, const std::string& board) {
  Log log;
  const auto result = TrainWatched(recipe, std::move(options), board, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), Not(HasSubstr("warning"))) << log.text();
}

// What the record says of an epoch, by tag: written out anew, so that a number that the files lack is noticed.
std::map<std::string, double> ScalarsOf(const RunRecord& run, int epoch) {
  const checkpoint::EpochMetrics& metrics = run.header.epochs(epoch - 1);
  const std::string key = KeyOf(run.display);
  std::map<std::string, double> scalars = {
      {"train/loss", metrics.loss()},
      {"train/learning_rate", metrics.learning_rate()},
      {"train/seconds", metrics.seconds()},
      {absl::StrCat("train/", ExamplesOf(run.display), "_per_second"), metrics.examples_per_second()},
      {key + "/train", Shown(run.display, metrics.train_error())},
      {key + "/valid", Shown(run.display, metrics.valid_error())},
      {key + "/test", Shown(run.display, metrics.test_error())},
  };
  if (metrics.has_penalty()) scalars["train/penalty"] = metrics.penalty();
  for (const auto& value : metrics.values()) scalars["model/" + value.name()] = value.value();
  for (const auto& layer : metrics.layers()) {
    if (layer.has_sign_flips()) scalars["sign_flips/" + layer.layer()] = layer.sign_flips();
    if (layer.has_at_clip()) scalars["weights_at_clip/" + layer.layer()] = layer.at_clip();
    if (layer.has_inside_window()) scalars["inside_window/" + layer.layer()] = layer.inside_window();
    for (const auto& value : layer.values()) scalars[value.name() + "/" + layer.layer()] = value.value();
  }
  for (const diagnostics::Epoch& seen : run.diagnostics) {
    if (seen.epoch() != epoch) continue;
    scalars["step/seconds"] = seen.step_seconds();
    scalars["step/bytes"] = static_cast<double>(seen.step_bytes());
    for (const auto& layer : seen.layers()) {
      if (layer.has_flipped_back()) scalars["flipped_back/" + layer.layer()] = layer.flipped_back();
      if (layer.has_gradient_norm()) scalars["gradient_norm/" + layer.layer()] = layer.gradient_norm();
      if (layer.has_constant_channels()) scalars["constant_channels/" + layer.layer()] = layer.constant_channels();
      if (layer.has_dead_channels()) scalars["dead_channels/" + layer.layer()] = layer.dead_channels();
    }
  }
  return scalars;
}

void ExpectHistogram(const diagnostics::Histogram& histogram, const tensorboard::HistogramProto& proto) {
  EXPECT_EQ(proto.min(), histogram.least());
  EXPECT_EQ(proto.max(), histogram.most());
  EXPECT_EQ(proto.sum(), histogram.sum());
  EXPECT_EQ(proto.sum_squares(), histogram.sum_of_squares());
  ASSERT_EQ(proto.bucket_limit_size(), proto.bucket_size());
  const double width = (histogram.high() - histogram.low()) / histogram.counts_size();
  double sum = 0;
  int bucket = 0;
  for (int i = 0; i < histogram.counts_size(); ++i) {
    sum += static_cast<double>(histogram.counts(i));
    // Bins outside that are empty are left out.
    if (bucket == 0 && histogram.counts(i) == 0) continue;
    if (bucket == proto.bucket_size()) {
      EXPECT_EQ(histogram.counts(i), 0);
      continue;
    }
    EXPECT_EQ(proto.bucket(bucket), static_cast<double>(histogram.counts(i)));
    EXPECT_NEAR(proto.bucket_limit(bucket), histogram.low() + width * (i + 1), 1e-6 * width);
    ++bucket;
  }
  EXPECT_EQ(bucket, proto.bucket_size());
  EXPECT_EQ(proto.num(), sum);
  EXPECT_LE(proto.max(), proto.bucket_limit(bucket - 1));
}

// Every scalar and histogram of the record is in the files, and no other scalar.
void ExpectBoardHasRecord(const std::string& folder, const RunRecord& run) {
  const Board board = ReadBoard(folder);
  EXPECT_EQ(board.repeated, 0);
  ASSERT_GT(run.header.epochs_size(), 0);
  std::set<std::pair<std::string, int64_t>> known;
  for (int epoch = 1; epoch <= run.header.epochs_size(); ++epoch) {
    for (const auto& [tag, number] : ScalarsOf(run, epoch)) {
      known.insert({tag, epoch});
      const auto found = board.values.find({tag, epoch});
      if (std::isnan(number)) {
        EXPECT_EQ(found, board.values.end()) << tag;
        continue;
      }
      ASSERT_NE(found, board.values.end()) << tag << " of epoch " << epoch;
      EXPECT_TRUE(found->second.has_simple_value());
      EXPECT_EQ(found->second.simple_value(), static_cast<float>(number)) << tag << " of epoch " << epoch;
    }
  }
  int histograms = 0;
  for (const diagnostics::Epoch& epoch : run.diagnostics) {
    for (const diagnostics::Layer& layer : epoch.layers()) {
      if (layer.weights().counts().empty()) continue;
      const auto found = board.values.find({"weights/" + layer.layer(), epoch.epoch()});
      ASSERT_NE(found, board.values.end()) << layer.layer();
      ExpectHistogram(layer.weights(), found->second.histo());
      ++histograms;
    }
  }
  EXPECT_GE(histograms, run.header.epochs_size());
  for (const auto& [place, value] : board.values) {
    const bool is_best = place.first.substr(0, 5) == "best/";
    EXPECT_TRUE(!value.has_simple_value() || is_best || known.contains(place)) << place.first << " " << place.second;
  }
}

RunRecord RecordOf(const std::string& folder) {
  auto run = LoadRunRecord(folder);
  EXPECT_TRUE(run.ok()) << run.status();
  return *std::move(run);
}

const Summary::Value& At(const Board& board, const std::string& tag, int64_t step) {
  const auto found = board.values.find({tag, step});
  EXPECT_NE(found, board.values.end()) << tag << " " << step;
  static const Summary::Value none;
  return found == board.values.end() ? none : found->second;
}

TEST(TensorBoardTest, HasEveryScalarAndHistogram) {
  const std::string out = NewDirectory(), folder = NewDirectory() + "/not/there/yet";
  TrainWatched(TinyRecipe(), {.out_dir = out}, folder);
  const RunRecord run = RecordOf(out);
  ASSERT_EQ(run.diagnostics.size(), 3u);
  ExpectBoardHasRecord(folder, run);
  const Board board = ReadBoard(folder);
  EXPECT_THAT(board.starts, ElementsAre(1));
  EXPECT_EQ(EventFilesIn(folder).size(), 1u);
  const checkpoint::EpochMetrics& best = run.header.epochs(run.header.progress().best_epoch() - 1);
  EXPECT_EQ(At(board, "best/epoch", 3).simple_value(), best.epoch());
  EXPECT_EQ(At(board, "best/valid_error", 3).simple_value(), static_cast<float>(best.valid_error()));
  EXPECT_EQ(At(board, "best/test_error", 3).simple_value(), static_cast<float>(best.test_error()));
}

// Values of models and layers, a penalty, and a run that nothing validates.
TEST(TensorBoardTest, HasWhatModelsTell) {
  recipe::Recipe recipe = *LoadRecipe("mnist_bitpruning_mlp");
  for (const char* assignment : {"data.name=digits", "data.limit=300", "data.validation_examples=0",
                                 "model.mlp.hidden=8,8", "epochs=2", "batch_size=50", "phase[0].from_epoch=2"}) {
    ASSERT_TRUE(SetField(assignment, recipe).ok()) << assignment;
  }
  const std::string out = NewDirectory(), folder = NewDirectory();
  TrainWatched(recipe, {.out_dir = out}, folder);
  const RunRecord run = RecordOf(out);
  EXPECT_TRUE(run.header.epochs(0).has_penalty());
  EXPECT_GT(run.header.epochs(0).values_size(), 0);
  EXPECT_TRUE(std::isnan(run.header.epochs(0).valid_error()));
  ExpectBoardHasRecord(folder, run);
}

TEST(TensorBoardTest, HasPerplexityOfTexts) {
  recipe::Recipe recipe = *LoadRecipe("ptb_binary_lstm");
  for (const char* assignment :
       {"data.steps=5", "model.recurrent_net.hidden=8", "epochs=2", "batch_size=2", "schedule.name=constant"}) {
    ASSERT_TRUE(SetField(assignment, recipe).ok()) << assignment;
  }
  std::string text;
  for (int i = 0; i < 40; ++i) text += " the cat sat on the mat \n";
  const std::string out = NewDirectory(), folder = NewDirectory(), data = WordsDirectory(text, text, text);
  TrainWatched(recipe, {.data_dir = data, .out_dir = out}, folder);
  const RunRecord run = RecordOf(out);
  ASSERT_EQ(run.display, MetricDisplay::kPerplexity);
  ExpectBoardHasRecord(folder, run);
  EXPECT_GT(At(ReadBoard(folder), "perplexity/valid", 2).simple_value(), 1);
}

TEST(TensorBoardTest, HasPicturesAndTexts) {
  const std::string out = NewDirectory(), folder = NewDirectory();
  const recipe::Recipe recipe = TinyRecipe();
  TrainWatched(recipe, {.out_dir = out}, folder);
  const RunRecord run = RecordOf(out);
  const Board board = ReadBoard(folder);
  ASSERT_GT(run.latest.mistakes_size(), 1);
  const Summary::Image& mistakes = At(board, "mistakes/pictures", 3).image();
  const std::string& png = mistakes.encoded_image_string();
  const auto sheet = DecodePng(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(png.data()), png.size()));
  ASSERT_TRUE(sheet.ok()) << sheet.status();
  EXPECT_EQ(sheet->shape.height, mistakes.height());
  EXPECT_EQ(sheet->shape.width, mistakes.width());
  EXPECT_EQ(mistakes.colorspace(), 1);
  // The second picture begins one pixel right of the first.
  const diagnostics::Picture& second = run.latest.mistakes(1).picture();
  for (int y = 0; y < 28; ++y) {
    for (int x = 0; x < 28; ++x) {
      ASSERT_EQ(sheet->pixels[static_cast<size_t>((y * mistakes.width() + 29 + x) * 3)],
                static_cast<uint8_t>(second.pixels()[static_cast<size_t>(y * 28 + x)]));
    }
  }
  // 16 filters of the first layer in 4 rows of 4.
  EXPECT_EQ(At(board, "filters/first_layer", 3).image().width(), 4 * 29 - 1);
  EXPECT_EQ(At(board, "filters/first_layer", 3).image().height(), 4 * 29 - 1);

  const Summary::Value& text = At(board, "recipe", 1);
  EXPECT_EQ(text.metadata().plugin_data().plugin_name(), "text");
  EXPECT_THAT(text.tensor().string_val(0), HasSubstr("    name: \"digits_bnn_mlp\"\n"));
  EXPECT_THAT(text.tensor().string_val(0), HasSubstr("      mlp {"));
  EXPECT_THAT(At(board, "machine", 3).tensor().string_val(0), HasSubstr("| threads | 1 |"));
  const diagnostics::Mistake& worst = run.latest.mistakes(0);
  EXPECT_THAT(At(board, "mistakes/answers", 3).tensor().string_val(0),
              HasSubstr(absl::StrCat("| 1 | ", worst.example(), " | ", worst.label(), " | ", worst.answer(), " | ")));
}

TEST(TensorBoardTest, HasHyperparameters) {
  const std::string out = NewDirectory(), folder = NewDirectory();
  TrainWatched(TinyRecipe({"model.mlp.hidden_keep=0.9"}), {.out_dir = out}, folder);
  const Board board = ReadBoard(folder);
  tensorboard::HParamsPluginData start, end;
  const auto parse = [&](const char* tag, int64_t step, tensorboard::HParamsPluginData& data) {
    const auto& plugin = At(board, tag, step).metadata().plugin_data();
    EXPECT_EQ(plugin.plugin_name(), "hparams");
    EXPECT_TRUE(data.ParseFromString(plugin.content()));
  };
  parse("_hparams_/session_start_info", 0, start);
  parse("_hparams_/session_end_info", 3, end);
  const auto& values = start.session_start_info().hparams();
  EXPECT_EQ(values.at("batch_size").number_value(), 50);
  EXPECT_EQ(values.at("optimizer.learning_rate").number_value(), 3e-3);
  EXPECT_EQ(values.at("model.mlp.hidden_keep").number_value(), 0.9);  // a float, as it is written
  EXPECT_EQ(values.at("optimizer.glorot_scale").bool_value(), true);
  EXPECT_EQ(values.at("model.mlp.hidden").string_value(), "16, 16");
  EXPECT_EQ(values.at("model.mlp.weight_quantizer").string_value(), "sign");
  EXPECT_EQ(values.at("model.mlp.norm.running_statistic").string_value(), "INVERSE_STD");
  EXPECT_FALSE(values.contains("description"));
  EXPECT_EQ(end.session_end_info().status(), tensorboard::SessionEndInfo::STATUS_SUCCESS);
}

TEST(TensorBoardTest, AResumedRunGoesOnInAnotherFile) {
  const std::string out = NewDirectory(), folder = NewDirectory();
  TrainWatched(TinyRecipe({"epochs=2"}), {.out_dir = out}, folder);
  TrainWatched(TinyRecipe({"epochs=3"}), {.out_dir = out, .resume = true}, folder);
  EXPECT_EQ(EventFilesIn(folder).size(), 2u);
  EXPECT_THAT(ReadBoard(folder).starts, ElementsAre(1, 3));
  ExpectBoardHasRecord(folder, RecordOf(out));
  // A run that is finished has nothing to add.
  TrainWatched(TinyRecipe({"epochs=3"}), {.out_dir = out, .resume = true}, folder);
  EXPECT_EQ(EventFilesIn(folder).size(), 2u);
}

// Epochs of before the first --tensorboard, or that a kill or a full disk has lost.
TEST(TensorBoardTest, WritesEpochsThatTheFilesLack) {
  const std::string out = NewDirectory(), folder = NewDirectory();
  TrainWatched(TinyRecipe({"epochs=1"}), {.out_dir = out}, folder);
  TrainWatched(TinyRecipe({"epochs=2"}), {.out_dir = out, .resume = true}, NewDirectory());
  TrainWatched(TinyRecipe({"epochs=3"}), {.out_dir = out, .resume = true}, folder);
  ExpectBoardHasRecord(folder, RecordOf(out));
  EXPECT_THAT(ReadBoard(folder).starts, ElementsAre(1, 2));

  // A kill leaves the last record unfinished.
  const std::string last = EventFilesIn(folder).back();
  std::filesystem::resize_file(last, std::filesystem::file_size(last) / 2);
  ASSERT_FALSE(ReadBoard(folder).values.contains({"train/loss", 3}));
  TrainWatched(TinyRecipe({"epochs=4"}), {.out_dir = out, .resume = true}, folder);
  ExpectBoardHasRecord(folder, RecordOf(out));
}

// The steps behind the checkpoint are forgotten.
TEST(TensorBoardTest, ARunThatGoesOnFromAnOlderCheckpointHasNoStepTwice) {
  const std::string out = NewDirectory(), folder = NewDirectory();
  TrainWatched(TinyRecipe({"epochs=1"}), {.out_dir = out}, folder);
  const std::string older = ReadFile(out + "/checkpoint.bgc");
  TrainWatched(TinyRecipe({"epochs=3"}), {.out_dir = out, .resume = true}, folder);
  WriteFile(out + "/checkpoint.bgc", older);
  TrainWatched(TinyRecipe({"epochs=2"}), {.out_dir = out, .resume = true}, folder);
  EXPECT_THAT(ReadBoard(folder).starts, ElementsAre(1, 2, 2));
  EXPECT_FALSE(ReadBoard(folder).values.contains({"train/loss", 3}));
  ExpectBoardHasRecord(folder, RecordOf(out));
}

TEST(TensorBoardTest, ANewRunIsNotMixedWithAnother) {
  const std::string folder = NewDirectory();
  TrainWatched(TinyRecipe({"epochs=1"}), {.out_dir = NewDirectory()}, folder);
  const auto second = TensorBoardWriter::Create(folder, /*resume=*/false);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("has event files already"));
}

TEST(TensorBoardTest, AFolderThatCannotBeWrittenIsAnError) {
  const std::string file = NewDirectory() + "/file";
  WriteFile(file, "");
  for (const std::string& folder : {file, file + "/board", std::string("/proc/board")}) {
    const auto writer = TensorBoardWriter::Create(folder, /*resume=*/false);
    ASSERT_FALSE(writer.ok()) << folder;
    EXPECT_THAT(std::string(writer.status().message()), HasSubstr("'" + folder)) << folder;
  }
  const std::string closed = NewDirectory();
  ASSERT_EQ(chmod(closed.c_str(), 0555), 0);
  if (access(closed.c_str(), W_OK) == 0) GTEST_SKIP() << "the superuser may write everywhere";
  EXPECT_FALSE(TensorBoardWriter::Create(closed, /*resume=*/false).ok());
}

// What the folder cannot take after an epoch is a warning, and is written when it can.
TEST(TensorBoardTest, TrainingGoesOnWhereTheFolderIsGone) {
  const std::string out = NewDirectory(), folder = NewDirectory() + "/board";
  auto writer = TensorBoardWriter::Create(folder, /*resume=*/false);
  ASSERT_TRUE(writer.ok()) << writer.status();
  std::filesystem::remove_all(folder);
  // Comes back after the first epoch.
  class Restorer final : public RunObserver {
   public:
    explicit Restorer(std::string folder) : folder_(std::move(folder)) {}
    const char* name() const override { return "the restorer"; }
    absl::Status EpochFinished(const RunRecord&, std::FILE*) override {
      std::filesystem::create_directories(folder_);
      return absl::OkStatus();
    }

   private:
    std::string folder_;
  };
  Log log;
  const auto result =
      Train(TinyRecipe(),
            {.out_dir = out,
             .observers = {std::shared_ptr<RunObserver>(*std::move(writer)), std::make_shared<Restorer>(folder)}},
            log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), HasSubstr("warning: TensorBoard's files: cannot write '" + folder));
  EXPECT_THAT(log.text(), HasSubstr("; training goes on\n"));
  ExpectBoardHasRecord(folder, RecordOf(out));
}

}  // namespace
}  // namespace bitgrad
