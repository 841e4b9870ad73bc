// What a run is held together by: its folder and lock, the fields that may change when it is resumed, the signals that
// stop it.

#include "bitgrad/models/training/run_folder.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "absl/strings/str_split.h"
#include "bitgrad/models/training/interrupt.h"
#include "bitgrad/models/training/resume_fields.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Use = RunFolder::Use;

std::string Error(const std::string& path, Use use) {
  const auto folder = RunFolder::Open(path, use);
  EXPECT_FALSE(folder.ok());
  return std::string(folder.status().message());
}

TEST(RunFolderTest, ANewRunTakesNoFolderThatHoldsOne) {
  for (const char* file : {"checkpoint.bgc", "best.bgc"}) {
    const std::string path = NewDirectory();
    ASSERT_TRUE(RunFolder::Open(path, Use::kNew).ok());
    WriteFile(path + "/" + file, "a run");
    EXPECT_THAT(Error(path, Use::kNew), AllOf(HasSubstr(path), HasSubstr(file), HasSubstr("--out")));
    // A best model alone cannot be continued.
    EXPECT_THAT(Error(path, Use::kNew),
                HasSubstr(file == std::string("best.bgc") ? "it cannot be continued" : "with --resume"));
    EXPECT_TRUE(RunFolder::Open(path, Use::kContinue).ok());
    EXPECT_EQ(ReadFile(path + "/" + file), "a run");
  }
}

TEST(RunFolderTest, NumbersPassOverRunsAndLocks) {
  const std::string path = NewDirectory() + "/run";
  const auto first = RunFolder::Open(path, Use::kNewNumbered);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ((*first)->path(), path);
  const auto second = RunFolder::Open(path, Use::kNewNumbered);  // the first one is held
  ASSERT_TRUE(second.ok());
  EXPECT_EQ((*second)->path(), path + "_2");
  std::filesystem::create_directory(path + "_3");
  WriteFile(path + "_3/best.bgc", "a run");
  const auto fourth = RunFolder::Open(path, Use::kNewNumbered);
  ASSERT_TRUE(fourth.ok());
  EXPECT_EQ((*fourth)->path(), path + "_4");
  EXPECT_EQ((*fourth)->checkpoint_path(), path + "_4/checkpoint.bgc");
  EXPECT_EQ((*fourth)->best_path(), path + "_4/best.bgc");
}

TEST(RunFolderTest, OneAtATimeHasIt) {
  const std::string path = NewDirectory();
  {
    const auto folder = RunFolder::Open(path, Use::kContinue);
    ASSERT_TRUE(folder.ok());
    for (const Use use : {Use::kNew, Use::kContinue}) {
      EXPECT_THAT(Error(path, use), AllOf(HasSubstr("another process is running in '" + path), HasSubstr("--out")));
    }
    // Of another process, too.
    const pid_t child = fork();
    if (child == 0) _exit(RunFolder::Open(path, Use::kContinue).ok() ? 1 : 0);
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  EXPECT_TRUE(RunFolder::Open(path, Use::kContinue).ok());
  // What a killed process leaves is no obstacle.
  WriteFile(path + "/.lock", "");
  EXPECT_TRUE(RunFolder::Open(path, Use::kContinue).ok());
  EXPECT_TRUE(std::filesystem::is_empty(path));
}

TEST(RunFolderTest, NothingIsLeftWhereNothingWasWritten) {
  const std::string parent = NewDirectory();
  ASSERT_TRUE(RunFolder::Open(parent + "/a/b", Use::kNew).ok());
  EXPECT_FALSE(std::filesystem::exists(parent + "/a/b"));
  {
    const auto folder = RunFolder::Open(parent + "/c", Use::kNew);
    ASSERT_TRUE(folder.ok());
    WriteFile(parent + "/c/checkpoint.bgc", "a run");
  }
  EXPECT_TRUE(std::filesystem::exists(parent + "/c/checkpoint.bgc"));
  EXPECT_FALSE(std::filesystem::exists(parent + "/c/.lock"));
}

TEST(RunFolderTest, PlacesThatCannotBe) {
  const std::string parent = NewDirectory();
  WriteFile(parent + "/file", "");
  for (const std::string& path : {parent + "/file", parent + "/file/below", std::string("/proc/bitgrad")}) {
    EXPECT_THAT(Error(path, Use::kNew), HasSubstr(path));
  }
  EXPECT_THAT(Error("", Use::kNew), HasSubstr("--out=DIR"));
}

// ---- Fields that may change ----------------------------------------------------------------------------------------

TEST(ResumeFieldsTest, NoChange) { EXPECT_THAT(*ChangesOnResume(TinyRecipe(), TinyRecipe()), ElementsAre()); }

TEST(ResumeFieldsTest, WhatIsInTheTableMayChange) {
  EXPECT_THAT(*ChangesOnResume(TinyRecipe({"epochs=3"}), TinyRecipe({"epochs=7"})), ElementsAre("epochs: 3 -> 7"));
  const recipe::Recipe before = TinyRecipe({"schedule.name=constant", "optimizer.learning_rate=0.5"});
  const recipe::Recipe now =
      TinyRecipe({"schedule.name=cosine", "optimizer.learning_rate=0.25", "name=other", "description=b",
                  "optimizer.weight_decay=1", "schedule.warmup_epochs=1", "optimizer.max_gradient_norm=2"});
  const auto changes = ChangesOnResume(before, now);
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_THAT(*changes, testing::IsSupersetOf(
                            {"optimizer.learning_rate: 0.5 -> 0.25", "optimizer.weight_decay: (not set) -> 1",
                             "optimizer.max_gradient_norm: (not set) -> 2", "schedule.name: \"constant\" -> \"cosine\"",
                             "schedule.warmup_epochs: (not set) -> 1"}));
  EXPECT_EQ(changes->size(), 7u);
}

TEST(ResumeFieldsTest, WhatIsNotIsNamed) {
  const struct {
    const char* assignment;
    const char* text;
  } cases[] = {
      {"batch_size=51", "batch_size was 50 and is 51 now"},
      {"seed=2", "seed was 1 and is 2 now"},
      {"loss=SOFTMAX_CROSS_ENTROPY", "loss was (not set) and is SOFTMAX_CROSS_ENTROPY now"},
      {"data.limit=601", "data.limit was 600 and is 601 now"},
      {"data.name=mnist", "data.name was \"digits\" and is \"mnist\" now"},
      {"data.augmentation=flip", "data.augmentation was (not set) and is \"flip\" now"},
      {"model.mlp.hidden=16,17", "model.mlp.hidden was 16, 16 and is 16, 17 now"},
      {"model.mlp.norm.momentum=0.5", "model.mlp.norm.momentum was "},
      {"optimizer.name=sgd", "optimizer.name was \"adam\" and is \"sgd\" now"},
      {"optimizer.beta1=0.5", "optimizer.beta1 was (not set) and is 0.5 now"},
  };
  for (const auto& c : cases) {
    const auto changes = ChangesOnResume(TinyRecipe(), TinyRecipe({c.assignment, "epochs=9"}));
    EXPECT_EQ(changes.status().code(), absl::StatusCode::kFailedPrecondition) << c.assignment;
    EXPECT_THAT(std::string(changes.status().message()), AllOf(HasSubstr(c.text), HasSubstr("with another --out")));
  }
  recipe::Recipe other = TinyRecipe();
  other.mutable_model()->mutable_conv_net();
  EXPECT_THAT(std::string(ChangesOnResume(TinyRecipe(), other).status().message()),
              HasSubstr("model.conv_net was (not set)"));
}

// Fields of update rules, which are entries of a list.
TEST(ResumeFieldsTest, OfUpdateRules) {
  const auto recipe = [](double rate, double threshold, const char* name) {
    recipe::Recipe result = TinyRecipe();
    recipe::UpdateRule& rule = *result.mutable_optimizer()->add_rule();
    rule.set_learning_rate(rate);
    rule.set_threshold(threshold);
    rule.set_name(name);
    return result;
  };
  const auto changes = ChangesOnResume(recipe(0.5, 1, "bop"), recipe(0.25, 2, "bop"));
  ASSERT_TRUE(changes.ok()) << changes.status();
  EXPECT_THAT(*changes, testing::ElementsAre("optimizer.rule[0].learning_rate: 0.5 -> 0.25",
                                             "optimizer.rule[0].threshold: 1 -> 2"));
  EXPECT_THAT(std::string(ChangesOnResume(recipe(1, 1, "bop"), recipe(1, 1, "adam")).status().message()),
              HasSubstr("optimizer.rule[0].name was \"bop\" and is \"adam\" now"));
  EXPECT_FALSE(ChangesOnResume(recipe(1, 1, "bop"), TinyRecipe()).ok()) << "its state would be missing";
}

// Every entry of the table is a field, or a group, that recipes have.
TEST(ResumeFieldsTest, TheTableNamesFields) {
  for (const ResumeField& entry : ResumeFields()) {
    const google::protobuf::Descriptor* message = recipe::Recipe::descriptor();
    for (const absl::string_view part : absl::StrSplit(entry.path, '.')) {
      ASSERT_NE(message, nullptr) << entry.path;
      const auto* field = message->FindFieldByName(std::string(part));
      ASSERT_NE(field, nullptr) << entry.path;
      message = field->message_type();
    }
  }
}

// ---- Signals -------------------------------------------------------------------------------------------------------

// Runs `body` in a process of its own; its exit status, or minus the signal that ended it, and what it wrote to stderr.
struct Ended {
  int status;
  std::string err;
};
template <typename Body>
Ended InChild(const Body& body) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDERR_FILENO);
    signal(SIGHUP, SIG_DFL);  // the tests may run under nohup
    body();
    _exit(0);
  }
  close(ends[1]);
  Ended ended;
  char buffer[256];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof(buffer))) > 0;) ended.err.append(buffer, count);
  close(ends[0]);
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  ended.status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  return ended;
}

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

TEST(InterruptTest, WithNothingToSaveTheProcessEndsWithOneLine) {
  for (const int signal : kSignals) {
    const Ended ended = InChild([&] {
      const InterruptGuard guard;
      raise(signal);
    });
    EXPECT_EQ(ended.status, 1) << signal;
    EXPECT_THAT(ended.err, testing::MatchesRegex("[^\n]*: interrupted while there was nothing to save; [^\n]*\n"));
  }
}

TEST(InterruptTest, DeferredItSetsAFlagAndTheSecondEndsTheProcess) {
  for (const int signal : kSignals) {
    const Ended ended = InChild([&] {
      const InterruptGuard guard;
      const InterruptGuard::Deferral deferral;
      if (InterruptGuard::interrupted()) _exit(3);
      raise(signal);
      if (!InterruptGuard::interrupted()) _exit(4);
      raise(signal);
      _exit(5);
    });
    // A closing terminal sends more than one SIGHUP.
    EXPECT_EQ(ended.status, signal == SIGHUP ? 5 : -signal);
    EXPECT_EQ(ended.err, "");
  }
}

TEST(InterruptTest, BetweenAndAfterGuardsSignalsAreAsBefore) {
  for (const int signal : kSignals) {
    const Ended ended = InChild([&] {
      ::signal(signal, [](int) { _exit(7); });
      {
        const InterruptGuard outer;
        { const InterruptGuard inner; }
        const InterruptGuard::Deferral deferral;
        raise(signal);
        if (!InterruptGuard::interrupted()) _exit(4);
      }
      {
        const InterruptGuard again;
        if (InterruptGuard::interrupted()) _exit(6);
      }
      raise(signal);
    });
    EXPECT_EQ(ended.status, 7);
  }
}

// nohup lets a program ignore SIGHUP.
TEST(InterruptTest, AnIgnoredHangupStaysIgnored) {
  const Ended ended = InChild([] {
    signal(SIGHUP, SIG_IGN);
    const InterruptGuard guard;
    raise(SIGHUP);
    const InterruptGuard::Deferral deferral;
    raise(SIGHUP);
    _exit(InterruptGuard::interrupted() ? 1 : 9);
  });
  EXPECT_EQ(ended.status, 9);
}

}  // namespace
}  // namespace bitgrad
