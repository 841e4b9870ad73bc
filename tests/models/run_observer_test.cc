// Runs that are watched: what the observers get, what the run's folder keeps, and that training does not notice.

#include "bitgrad/models/diagnostics/run_observer.h"

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Keeps what it was told.
class Witness final : public RunObserver {
 public:
  const char* name() const override { return "the witness"; }
  absl::Status Begin(const RunRecord& run, std::FILE* /*log*/) override {
    begun.push_back(run);
    return error;
  }
  absl::Status EpochFinished(const RunRecord& run, std::FILE* /*log*/) override {
    epochs.push_back(run);
    return error;
  }
  std::vector<RunRecord> begun, epochs;
  absl::Status error;
};

using RunObserverTest = OnTestDevice<testing::Test>;

TEST_F(RunObserverTest, IsToldOfEachEpochAndTrainingDoesNotNotice) {
  const std::string plain = NewDirectory(), watched = NewDirectory();
  const auto witness = std::make_shared<Witness>();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=2"}), {.out_dir = plain}).ok());
  ASSERT_TRUE(Train(TinyRecipe({"epochs=2"}), {.out_dir = watched, .observers = {witness}}).ok());
  ExpectSameCheckpoints(plain + "/checkpoint.bgc", watched + "/checkpoint.bgc");
  EXPECT_FALSE(std::ifstream(DiagnosticsPath(plain)).is_open()) << "nobody has asked for it";

  ASSERT_THAT(witness->begun, SizeIs(1));
  EXPECT_EQ(witness->begun[0].header.epochs_size(), 0);
  EXPECT_EQ(witness->begun[0].folder, watched);
  ASSERT_THAT(witness->epochs, SizeIs(2));
  const RunRecord& run = witness->epochs[1];
  EXPECT_EQ(run.header.epochs_size(), 2);
  ASSERT_THAT(run.diagnostics, SizeIs(2));
  const diagnostics::Epoch& seen = run.diagnostics[1];
  EXPECT_EQ(seen.epoch(), 2);
  int64_t answers = 0;
  for (const int64_t count : seen.confusion()) answers += count;
  EXPECT_EQ(answers, run.header.recipe().data().validation_examples());
  ASSERT_GT(seen.layers_size(), 0);
  for (const diagnostics::Layer& layer : seen.layers()) {
    int64_t weights = 0;
    for (const int64_t count : layer.weights().counts()) weights += count;
    EXPECT_GT(weights, 0) << layer.layer();
  }
  if (TestDevice() == Device::kCpu) {
    EXPECT_GT(seen.step_seconds(), 0);
    EXPECT_GT(seen.parts_size(), 5);
    EXPECT_GT(seen.layers(0).gradient_norm(), 0);
  }
  EXPECT_EQ(run.latest.epoch(), 2);
  EXPECT_EQ(run.latest.machine().threads(), 1);
  EXPECT_THAT(run.latest.filters(), Not(IsEmpty()));
  ASSERT_THAT(run.latest.commands(), Not(IsEmpty()));
  EXPECT_THAT(run.latest.commands(0).command(), HasSubstr("--resume --out=" + watched));
  ASSERT_THAT(run.latest.mistakes(), Not(IsEmpty())) << "an untrained net errs";
  EXPECT_EQ(run.latest.mistakes(0).picture().pixels().size(), 28u * 28u);
}

TEST_F(RunObserverTest, TheFolderKeepsWhatWasSeen) {
  const std::string directory = NewDirectory();
  const auto witness = std::make_shared<Witness>();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=2"}), {.out_dir = directory, .observers = {witness}}).ok());
  const auto run = LoadRunRecord(directory);
  ASSERT_TRUE(run.ok()) << run.status();
  const RunRecord& told = witness->epochs.back();
  EXPECT_EQ(run->folder, directory);
  EXPECT_EQ(run->header.epochs_size(), 2);
  ASSERT_EQ(run->diagnostics.size(), told.diagnostics.size());
  for (size_t i = 0; i < told.diagnostics.size(); ++i) {
    EXPECT_EQ(run->diagnostics[i].SerializeAsString(), told.diagnostics[i].SerializeAsString());
  }
  EXPECT_EQ(run->latest.SerializeAsString(), told.latest.SerializeAsString());
}

TEST_F(RunObserverTest, AResumedRunGoesOnWithItsDiagnostics) {
  const std::string directory = NewDirectory();
  const auto first = std::make_shared<Witness>(), second = std::make_shared<Witness>();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=1"}), {.out_dir = directory, .observers = {first}}).ok());
  ASSERT_TRUE(Train(TinyRecipe({"epochs=3"}), {.out_dir = directory, .resume = true, .observers = {second}}).ok());
  ASSERT_THAT(second->begun, SizeIs(1));
  EXPECT_THAT(second->begun[0].diagnostics, SizeIs(1));
  ASSERT_THAT(second->epochs, SizeIs(2));
  EXPECT_THAT(second->epochs.back().diagnostics, SizeIs(3));
  EXPECT_EQ(LoadRunRecord(directory)->diagnostics[0].SerializeAsString(),
            first->epochs[0].diagnostics[0].SerializeAsString());
}

TEST_F(RunObserverTest, AnErrorOfAnObserverIsAWarning) {
  const std::string directory = NewDirectory();
  const auto witness = std::make_shared<Witness>();
  witness->error = absl::ResourceExhaustedError("the disk is full");
  Log log;
  const auto result = Train(TinyRecipe({"epochs=2"}), {.out_dir = directory, .observers = {witness}}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->epochs, 2);
  EXPECT_THAT(log.text(), HasSubstr("warning: the witness: the disk is full; training goes on"));
  EXPECT_THAT(witness->epochs, SizeIs(2));
}

// ---- What is missing or damaged ------------------------------------------------------------------

TEST(RunRecordTest, DamagedDiagnosticsAreLeftOut) {
  const std::string directory = NewDirectory();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=2"}), {.out_dir = directory, .observers = {std::make_shared<Witness>()}}).ok());
  std::ofstream(DiagnosticsPath(directory), std::ios::app) << "{\"epoch\": 1}\n";
  std::ofstream(LatestPath(directory)) << "{\"epoch\": tw";
  std::vector<std::string> warnings;
  const auto run = LoadRunRecord(directory, &warnings);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_THAT(run->diagnostics, SizeIs(2)) << "what stands before the damage is good";
  EXPECT_EQ(run->latest.epoch(), 0);
  ASSERT_THAT(warnings, SizeIs(2));
  EXPECT_THAT(warnings[0], HasSubstr("line 3: epochs are not in order"));
  EXPECT_THAT(warnings[1], HasSubstr("latest.json' cannot be read"));
  std::remove(DiagnosticsPath(directory).c_str());
  std::remove(LatestPath(directory).c_str());
  warnings.clear();
  EXPECT_THAT(LoadRunRecord(directory, &warnings)->diagnostics, IsEmpty());
  EXPECT_THAT(warnings, IsEmpty()) << "a run that nobody watched";
}

TEST(RunRecordTest, DiagnosticsOfEpochsThatTheCheckpointDoesNotHaveAreLeftOut) {
  const std::string directory = NewDirectory();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=1"}), {.out_dir = directory, .observers = {std::make_shared<Witness>()}}).ok());
  std::ofstream(DiagnosticsPath(directory), std::ios::app) << "{\"epoch\": 2}\n";
  std::vector<std::string> warnings;
  EXPECT_THAT(LoadRunRecord(directory, &warnings)->diagnostics, SizeIs(1));
  EXPECT_THAT(warnings, IsEmpty());
}

TEST(RunRecordTest, AFolderThatIsNoRunIsSaidToBeNone) {
  const std::string directory = NewDirectory();
  const auto run = LoadRunRecord(directory);
  EXPECT_TRUE(absl::IsNotFound(run.status()));
  EXPECT_THAT(std::string(run.status().message()), HasSubstr("'" + directory + "' is no folder of a run"));
}

}  // namespace
}  // namespace bitgrad
