// Profiles of training steps: what was measured is all that worked, and adds up; the trace is JSON in which what lies
// within something else does so.

#include "bitgrad/models/diagnostics/step_profile.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bitgrad/models/diagnostics/chrome_trace.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/step_arithmetic.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/struct.pb.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using google::protobuf::Struct;
using testing::HasSubstr;

constexpr int64_t kBatch = 20, kFeatures = 12, kClasses = 3;
constexpr int kSteps = 3;

// A binary net with batch norms, and a profile of it.
class StepProfileTest : public testing::Test {
 protected:
  StepProfileTest()
      : context_({.threads = 1}),
        store_(1),
        net_(store_.Root(), {.features = kFeatures,
                             .hidden = {8, 8},
                             .classes = kClasses,
                             .activation_quantizer = Sign(),
                             .weight = Sign()}),
        task_(Classification({.features = kFeatures, .classes = kClasses})),
        optimizer_(*MakeOptimizer(context_, "adam", {})),
        log_(std::make_shared<PreparationLog>()) {
    const auto loader = BatchLoader::Create(LoggedBatches(RandomBatches(*task_, kClasses, kBatch, 2, 1), log_));
    auto profile = ProfileSteps(context_, net_, store_, *task_, *loader, *optimizer_, {.steps = kSteps, .warm_up = 1});
    EXPECT_TRUE(profile.ok()) << profile.status();
    if (profile.ok()) profile_ = *std::move(profile);
    profile_.prepared = log_->batches();
  }

  ExecContext context_;
  ParameterStore store_;
  Mlp net_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<Optimizer> optimizer_;
  std::shared_ptr<PreparationLog> log_;
  StepProfile profile_;
};

// What the tape itself tells of one step.
std::vector<std::string> WorkOf(ExecContext& context, Model& net, const Task& task) {
  std::vector<std::string> work;
  Tape tape(context);
  tape.set_op_listener([&](const OpEvent& event) {
    const Tape::Node& node = tape.nodes()[static_cast<size_t>(event.node)];
    work.push_back(
        absl::StrCat(event.backward ? "backward " : "forward ", event.node, " ", node.layer, " ", node.descriptor.op));
  });
  EXPECT_TRUE(tape.Backward(RecordObjective(task, net, tape, task.Blank(kBatch)).scaled).ok());
  return work;
}

TEST_F(StepProfileTest, AllWorkOfEveryStepHasASpan) {
  std::vector<std::string> expected = WorkOf(context_, net_, *task_);
  expected.push_back("update -1  ");
  ASSERT_EQ(profile_.steps.size(), size_t{kSteps});
  for (const ProfiledStep& step : profile_.steps) {
    std::vector<std::string> work;
    for (const OpSpan& span : step.spans) {
      const char* const phase = span.phase == diagnostics::Part::FORWARD    ? "forward "
                                : span.phase == diagnostics::Part::BACKWARD ? "backward "
                                                                            : "update ";
      work.push_back(absl::StrCat(phase, span.node, " ", span.layer, " ", span.op));
    }
    EXPECT_EQ(work, expected);
  }
}

TEST_F(StepProfileTest, TimesAddUpInEveryStep) {
  double end = 0;
  for (const ProfiledStep& step : profile_.steps) {
    EXPECT_GE(step.begin, end);  // of the step before
    EXPECT_GE(step.got_batch, step.begin);
    end = step.got_batch;
    double sum = step.got_batch - step.begin + step.overhead + step.not_attributed();
    for (const OpSpan& span : step.spans) {
      EXPECT_GE(span.begin, end);
      EXPECT_GE(span.end, span.begin);
      end = span.end;
      sum += span.seconds();
    }
    EXPECT_GE(step.end, end);
    end = step.end;
    EXPECT_NEAR(sum, step.seconds(), 1e-9);
    EXPECT_GE(step.not_attributed(), 0);
    EXPECT_GT(step.overhead, 0);
  }
}

TEST_F(StepProfileTest, PartsAreSumsOfSpans) {
  const ProfiledStep& step = profile_.steps.back();
  const std::vector<diagnostics::Part> parts = PartsOf(step.spans);
  ASSERT_EQ(parts.size(), profile_.rows.size());
  double seconds = 0;
  for (const diagnostics::Part& part : parts) {
    seconds += part.seconds();
    int64_t calls = 0, held = 0;
    for (const OpSpan& span : step.spans) {
      if (span.phase != part.phase() || span.op != part.op() || span.layer != part.layer()) continue;
      ++calls;
      held += span.held_bytes;
    }
    EXPECT_EQ(part.held_bytes(), held) << part.layer() << " " << part.op();
    const auto row = std::find_if(profile_.rows.begin(), profile_.rows.end(), [&](const ProfileRow& known) {
      return known.phase == part.phase() && known.op == part.op() && known.layer == part.layer();
    });
    ASSERT_NE(row, profile_.rows.end());
    EXPECT_EQ(row->calls, calls);
  }
  EXPECT_NEAR(seconds + step.got_batch - step.begin + step.overhead + step.not_attributed(), step.seconds(), 1e-9);
  EXPECT_EQ(parts[0].op(), "input");  // in the order in which they ran
  EXPECT_EQ(parts.back().phase(), diagnostics::Part::UPDATE);
}

TEST_F(StepProfileTest, OperationsAreThoseThatAreCounted) {
  const auto layers =
      CountStep({.threads = 1}, net_, store_, *task_, *optimizer_, kBatch, CountingConvention::kExecuted);
  ASSERT_TRUE(layers.ok()) << layers.status();
  ArithmeticCounts forward, update;
  for (const LayerArithmetic& layer : *layers) {
    forward += layer.forward;
    update += layer.update;
  }
  std::map<int, int64_t> by_phase;
  for (const ProfileRow& row : profile_.rows) {
    by_phase[row.phase] += row.operations;
    // A float times -1 or +1 is an addition.
    if (row.phase == diagnostics::Part::FORWARD && row.layer == "hidden1" && row.op == "linear") {
      EXPECT_EQ(row.operations, kBatch * kFeatures * 8);
    }
  }
  EXPECT_EQ(by_phase[diagnostics::Part::FORWARD], OperationsOf(forward));
  EXPECT_EQ(by_phase[diagnostics::Part::UPDATE], OperationsOf(update));
  EXPECT_EQ(by_phase[diagnostics::Part::FORWARD] + by_phase[diagnostics::Part::BACKWARD] +
                by_phase[diagnostics::Part::UPDATE],
            OperationsOf(SumOf(*layers)));
}

TEST_F(StepProfileTest, MemoryIsGivenBack) {
  for (const ProfiledStep& step : profile_.steps) {
    int64_t live = 0, most = 0;
    for (const OpSpan& span : step.spans) {
      live += span.held_bytes;
      EXPECT_EQ(live, span.live_bytes);
      most = std::max(most, live);
    }
    EXPECT_GT(most, kBatch * 8 * 4);
    EXPECT_LE(most, profile_.peak_bytes);
    EXPECT_LT(live, most);
  }
}

TEST_F(StepProfileTest, TheTableHasAllRowsAndAddsUp) {
  EXPECT_TRUE(std::is_sorted(profile_.rows.begin(), profile_.rows.end(),
                             [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; }));
  for (const int64_t most : {0, 4}) {
    const std::string table = ProfileTable(profile_, most);
    std::vector<std::string> lines = absl::StrSplit(table, '\n', absl::SkipEmpty());
    const size_t rows = most == 0 ? profile_.rows.size() : static_cast<size_t>(most) + 1;
    ASSERT_EQ(lines.size(), 1 + rows + 5) << table;
    double sum = 0, sum_of_rows = 0, milliseconds = 0;
    for (size_t i = 1; i < lines.size(); ++i) {
      const std::vector<std::string> words = absl::StrSplit(lines[i], ' ', absl::SkipEmpty());
      ASSERT_TRUE(absl::SimpleAtod(words[0], &milliseconds)) << lines[i];
      if (i <= rows) sum_of_rows += milliseconds;
      if (i + 1 < lines.size()) sum += milliseconds;
    }
    double expected = 0;
    for (const ProfileRow& row : profile_.rows) expected += 1e3 * row.seconds;
    EXPECT_NEAR(sum_of_rows, expected, 0.0005 * static_cast<double>(rows) + 1e-9);
    EXPECT_THAT(lines.back(), HasSubstr("100.0%  a step"));
    EXPECT_NEAR(sum, milliseconds, 0.0005 * static_cast<double>(lines.size()));
    EXPECT_NEAR(milliseconds, 1e3 * profile_.step, 0.0006);
    if (most > 0) {
      EXPECT_THAT(table, HasSubstr(absl::StrCat("(", profile_.rows.size() - 4, " further rows)")));
    }
  }
}

struct Event {
  std::string name, category;
  int thread = 0;
  double begin = 0, end = 0;
};

TEST_F(StepProfileTest, TheTraceIsJsonWithNestedEvents) {
  const std::string text = ChromeTrace(profile_, "a \"title\"\n\\");
  Struct trace;
  ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text, &trace).ok()) << text;
  std::vector<Event> events;
  std::map<std::string, int> kinds;
  std::map<int, std::string> threads;
  std::string title;
  for (const auto& value : trace.fields().at("traceEvents").list_value().values()) {
    const auto& fields = value.struct_value().fields();
    const std::string kind = fields.at("ph").string_value();
    ++kinds[kind];
    const auto& arguments = fields.at("args").struct_value().fields();
    if (kind == "M") {
      const std::string name = arguments.at("name").string_value();
      (fields.at("name").string_value() == "process_name"
           ? title
           : threads[static_cast<int>(fields.at("tid").number_value())]) = name;
    } else if (kind == "C") {
      EXPECT_TRUE(arguments.contains("bytes"));
    } else {
      ASSERT_EQ(kind, "X");
      const double begin = fields.at("ts").number_value();
      events.push_back({.name = fields.at("name").string_value(),
                        .category = fields.at("cat").string_value(),
                        .thread = static_cast<int>(fields.at("tid").number_value()),
                        .begin = begin,
                        .end = begin + fields.at("dur").number_value()});
    }
  }
  EXPECT_EQ(title, "a \"title\"\n\\");
  EXPECT_EQ(threads[1], "training");
  EXPECT_EQ(threads[2], "batches 1");
  EXPECT_GT(kinds["C"], kSteps);

  // What begins within an event of its thread ends within it: a stack of the events that are open.
  std::stable_sort(events.begin(), events.end(), [](const Event& a, const Event& b) {
    return a.thread != b.thread ? a.thread < b.thread : a.begin != b.begin ? a.begin < b.begin : a.end > b.end;
  });
  std::vector<Event> open;
  std::map<std::string, int> categories;
  for (const Event& event : events) {
    constexpr double kRounding = 1e-6;  // of ts + dur
    while (!open.empty() && (open.back().thread != event.thread || open.back().end <= event.begin + kRounding)) {
      open.pop_back();
    }
    if (!open.empty()) {
      EXPECT_LE(event.end, open.back().end + kRounding) << event.name << " in " << open.back().name;
    }
    ++categories[event.category];
    if (event.category == "step" || event.category == "data") {
      EXPECT_TRUE(open.empty()) << event.name;
    }
    if (event.category == "phase") {
      ASSERT_FALSE(open.empty()) << event.name;
      EXPECT_EQ(open.back().category, "step") << event.name;
    }
    if (event.category == "forward" || event.category == "backward") {
      ASSERT_FALSE(open.empty()) << event.name;
      EXPECT_EQ(open.back().name, event.category) << event.name;
    }
    open.push_back(event);
  }
  EXPECT_EQ(categories["step"], kSteps);
  EXPECT_EQ(categories["phase"], 4 * kSteps);
  const std::vector<std::string> work = WorkOf(context_, net_, *task_);
  EXPECT_EQ(categories["forward"] + categories["backward"], kSteps * static_cast<int>(work.size()));
  EXPECT_GT(categories["data"], 0);
}

TEST_F(StepProfileTest, TheFileIsTheTrace) {
  const std::string path = NewDirectory() + "/step.json";
  ASSERT_TRUE(WriteChromeTrace(profile_, "net", path).ok());
  EXPECT_EQ(ReadFile(path), ChromeTrace(profile_, "net"));
  EXPECT_FALSE(WriteChromeTrace(profile_, "net", path + "/none/step.json").ok());
}

TEST(ProfileBatchesTest, RandomOnesFitTheTask) {
  const auto task = Classification({.features = kFeatures, .classes = kClasses});
  const auto source = RandomBatches(*task, kClasses, kBatch, 2, 1);
  EXPECT_EQ(source->batches_per_epoch(), 2);
  EXPECT_EQ(source->examples_per_epoch(), 2 * kBatch);
  Batch batch;
  ASSERT_TRUE(source->Epoch(0)(1, &batch).ok());
  EXPECT_EQ(batch.index, 1);
  EXPECT_TRUE(task->Check(batch).ok()) << task->Check(batch);
  std::map<int, int> labels;
  for (const int32_t label : batch.labels.span<int32_t>()) ++labels[label];
  EXPECT_EQ(labels.size(), size_t{kClasses});
  const auto pixels = batch.images.span<float>();
  EXPECT_LT(*std::min_element(pixels.begin(), pixels.end()), -0.9f);
  EXPECT_GT(*std::max_element(pixels.begin(), pixels.end()), 0.9f);
}

TEST_F(StepProfileTest, BatchesAreLoggedOnce) {
  std::map<std::pair<int64_t, int64_t>, int> seen;
  for (const PreparedBatch& batch : profile_.prepared) {
    EXPECT_LE(batch.begin, batch.end);
    ++seen[{batch.epoch, batch.index}];
  }
  // Two epochs of two batches: four steps.
  EXPECT_EQ(seen.size(), size_t{4});
  for (const auto& [batch, times] : seen) EXPECT_EQ(times, 1) << batch.first << " " << batch.second;
}

}  // namespace
}  // namespace bitgrad
