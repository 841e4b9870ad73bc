// What a recurrent model carries from tape to tape, on each device; and by a step that was recorded once.

#include "bitgrad/graph/state_store.h"

#include <string>
#include <vector>

#include "bitgrad/core/recorded_work.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class StateStoreTest : public OnTestDevice<testing::Test> {
 protected:
  Var Input(Tape& tape, const Tensor& value) { return tape.Input(ToDevice(context_, value)); }
  // A step of h' = 2 h + x over as many streams as x has values. Returns h.
  std::vector<float> Step(StateStore& states, const std::vector<float>& x, bool commit = true) {
    Tape tape(context_, Mode::kEval);
    tape.set_states(&states);
    const Shape shape({static_cast<int64_t>(x.size()), 1});
    const Var h = tape.State("h", shape);
    tape.SetNextState("h", Add(Add(h, h), Input(tape, Floats(shape, x))));
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    std::vector<float> read = ValuesOf(ToHost(context_, **tape.Value(h)));
    if (commit) {
      EXPECT_TRUE(states.Commit().ok());
    }
    return read;
  }
  std::string Error(StateStore* states, const std::function<void(Tape&)>& code) {
    Tape tape(context_);
    tape.set_states(states);
    code(tape);
    return std::string(tape.status().message());
  }

  ExecContext context_{{.device = TestDevice(), .threads = 1}};
};

TEST_F(StateStoreTest, CarriesFromTapeToTape) {
  StateStore states(context_);
  EXPECT_TRUE(states.states().empty());
  EXPECT_THAT(Step(states, {1, 10}), ElementsAre(0, 0));
  EXPECT_THAT(Step(states, {1, 10}), ElementsAre(1, 10));
  EXPECT_THAT(Step(states, {1, 10}, /*commit=*/false), ElementsAre(3, 30));
  EXPECT_THAT(Step(states, {5, 50}), ElementsAre(3, 30)) << "what was not committed is overwritten";
  EXPECT_THAT(Step(states, {1, 10}), ElementsAre(11, 110));
  // So it is where the next tape has fewer streams: the others keep what was committed.
  EXPECT_THAT(Step(states, {1, 10}, /*commit=*/false), ElementsAre(23, 230));
  EXPECT_THAT(Step(states, {1}), ElementsAre(23));
  EXPECT_THAT(Step(states, {1, 10}), ElementsAre(47, 230));
  states.Reset();
  EXPECT_THAT(Step(states, {1, 10}), ElementsAre(0, 0));
  ASSERT_EQ(states.states().size(), 1u);
  EXPECT_EQ(states.states()[0].name, "h");
  EXPECT_THAT(ValuesOf(states.states()[0].value), ElementsAre(1, 10));
}

TEST_F(StateStoreTest, WithoutAStoreStatesAreZeros) {
  for (int i = 0; i < 2; ++i) {
    Tape tape(context_);
    const Var h = tape.State("h", {2, 3});
    EXPECT_EQ(ValuesOf(ToHost(context_, **tape.Value(h))), std::vector<float>(6, 0));
    const Var next = Add(h, Input(tape, Filled({2, 3}, 1)));
    tape.SetNextState("h", next);
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    ASSERT_EQ(tape.states().size(), 1u);
    EXPECT_EQ(tape.states()[0].name, "h");
    EXPECT_EQ(tape.states()[0].initial, h.index());
    EXPECT_EQ(tape.states()[0].next, next.index());
    EXPECT_EQ(tape.nodes()[h.index()].descriptor.op, "state");
    tape.Reset();
    EXPECT_TRUE(tape.states().empty());
  }
}

TEST_F(StateStoreTest, RestoresWhatWasBefore) {
  for (const int commits : {1, 2}) {
    SCOPED_TRACE(commits);
    StateStore states(context_);
    std::vector<float> seen;
    for (int step = 0; step < 5; ++step) seen.push_back(Step(states, {1})[0]);
    states.Restore(commits);
    EXPECT_THAT(ValuesOf(states.states()[0].value), ElementsAre(seen[5 - commits]));
    // A tape that leaves nothing changes nothing.
    EXPECT_TRUE(states.Commit().ok());
    EXPECT_EQ(Step(states, {1})[0], seen[5 - commits]);
    EXPECT_EQ(Step(states, {1})[0], 2 * seen[5 - commits] + 1);
  }
  StateStore states(context_);
  Step(states, {1});
  Step(states, {1});
  states.Reset();
  Step(states, {1});
  states.Restore(2);
  EXPECT_EQ(Step(states, {1})[0], 0) << "what was before the reset does not come back";
}

// The first streams go on, the others wait.
TEST_F(StateStoreTest, FewerStreams) {
  StateStore states(context_);
  Step(states, {1, 2, 3});
  EXPECT_THAT(Step(states, {1, 1}), ElementsAre(1, 2));
  EXPECT_THAT(Step(states, {1, 1, 1}), ElementsAre(3, 5, 3));
}

TEST_F(StateStoreTest, SetGivesAValue) {
  StateStore states(context_);
  ASSERT_TRUE(states.Set("h", Floats({2, 1}, {4, 5})).ok());
  EXPECT_THAT(Step(states, {0, 0}), ElementsAre(4, 5));
  ASSERT_TRUE(states.Set("h", ToDevice(context_, Floats({2, 1}, {7, 8}))).ok());
  EXPECT_TRUE(states.Commit().ok());
  EXPECT_THAT(Step(states, {0, 0}), ElementsAre(7, 8));
  EXPECT_EQ(states.Set("h", Floats({3, 1}, {0, 0, 0})).message(),
            "state 'h': the value is [3, 1], the state [2, 1]; they have to have one shape");
  EXPECT_EQ(states.Set("h", Labels({1, 2})).message(),
            "state 'h': the value is int32 [2]; it has to be float32 [streams, width], on the host or on the context's "
            "device");
  EXPECT_THAT(std::string(states.Set("h", Tensor()).message()), HasSubstr("the value is null"));
}

TEST_F(StateStoreTest, Misuse) {
  StateStore states(context_);
  Step(states, {1, 2});
  EXPECT_EQ(
      Error(&states,
            [](Tape& tape) {
              tape.State("h", {3, 1});
            }),
      "state 'h': there are 3 streams, but the state was made for 2; use another StateStore for batches with more "
      "streams");
  EXPECT_EQ(Error(&states,
                  [](Tape& tape) {
                    tape.State("h", {2, 4});
                  }),
            "state 'h': it is [2, 1] and is read as [2, 4]; the width of a state cannot change");
  for (StateStore* store : {&states, static_cast<StateStore*>(nullptr)}) {
    EXPECT_EQ(Error(store, [](Tape& tape) { tape.State("g", {2}); }),
              "state 'g': the shape [2] has to be [streams, width]");
    EXPECT_EQ(Error(store,
                    [](Tape& tape) {
                      tape.State("h", {2, 1});
                      tape.State("h", {2, 1});
                    }),
              "state 'h': it is read twice on one tape; give each layer states of its own name");
    EXPECT_EQ(Error(store,
                    [&](Tape& tape) {
                      tape.SetNextState("h", Input(tape, Filled({2, 1}, 0)));
                    }),
              "state 'h': its next value is set before State() has read it");
    EXPECT_EQ(Error(store,
                    [](Tape& tape) {
                      const Var h = tape.State("h", {2, 1});
                      tape.SetNextState("h", h);
                      tape.SetNextState("h", h);
                    }),
              "state 'h': its next value is set twice on one tape");
    EXPECT_EQ(Error(store,
                    [&](Tape& tape) {
                      tape.State("h", {2, 1});
                      tape.SetNextState("h", Input(tape, Filled({1, 2}, 0)));
                    }),
              "state 'h': the next value is [1, 2], the state float32 [2, 1]; they have to be alike");
  }
  ExecContext other({.threads = 1});
  StateStore foreign(other);
  EXPECT_EQ(Error(&foreign, [](Tape&) {}), "states: the store belongs to another ExecContext than the tape");
}

// The backward functions read the states: who commits too early would have the gradient of no function.
TEST_F(StateStoreTest, CommitBeforeBackwardIsAnError) {
  StateStore states(context_);
  Parameter w = MakeParameter("w", ToDevice(context_, Filled({2, 3}, 2)));
  for (const bool too_early : {false, true}) {
    Tape tape(context_);
    tape.set_states(&states);
    const Var h = tape.State("h", {2, 3});
    const Var next = Mul(Add(h, Input(tape, Filled({2, 3}, 1))), tape.Use(w));
    tape.SetNextState("h", next);
    if (too_early) {
      EXPECT_TRUE(states.Commit().ok());
    }
    const absl::Status status = tape.Backward(Sum(next));
    EXPECT_EQ(status.ok(), !too_early) << status;
    EXPECT_TRUE(states.Commit().ok());
  }
}

// A step that is recorded once and enqueued many times carries the state as one that is not, and Reset() and Restore()
// reach it.
TEST_F(StateStoreTest, RecordedSteps) {
  if (context_.stream() == nullptr) GTEST_SKIP() << "nothing is recorded on the CPU";
  StateStore states(context_), expected(context_);
  const Tensor x = ToDevice(context_, Floats({2, 1}, {1, 10}));
  const auto step = [&](StateStore& store) -> absl::Status {
    Tape tape(context_, Mode::kEval);
    tape.set_states(&store);
    const Var h = tape.State("h", {2, 1});
    tape.SetNextState("h", Add(Add(h, h), tape.Input(x)));
    return tape.status();
  };
  const auto values = [](StateStore& store) { return ValuesOf(store.states()[0].value); };
  ASSERT_TRUE(step(states).ok() && step(expected).ok());  // makes the states
  ASSERT_TRUE(states.Commit().ok() && expected.Commit().ok());
  auto recorded = RecordedWork::Record(context_, [&] { return step(states); });
  ASSERT_TRUE(recorded.ok()) << recorded.status();
  for (int i = 0; i < 6; ++i) {
    SCOPED_TRACE(i);
    if (i == 3) {
      states.Reset();
      expected.Reset();
    }
    if (i == 5) {
      states.Restore(2);
      expected.Restore(2);
    }
    const int64_t transfers = context_.transfers();
    (*recorded)->Enqueue();
    ASSERT_TRUE(states.Commit().ok());
    EXPECT_EQ(context_.transfers(), transfers) << "waits for the device";
    ASSERT_TRUE(step(expected).ok() && expected.Commit().ok());
    EXPECT_EQ(values(states), values(expected));
  }
  EXPECT_THAT(values(states), ElementsAre(1, 10));
}

}  // namespace
}  // namespace bitgrad
