// Phases of recipes: which fields hold when, and runs that go through them.

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// TinyRecipe with phases, in the text format.
recipe::Recipe Phased(const std::string& phases, const std::vector<std::string>& assignments = {}) {
  recipe::Recipe recipe = TinyRecipe(assignments);
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(phases, &recipe)) << phases;
  return recipe;
}

TEST(PhasesTest, FieldsHoldUntilTheyAreChanged) {
  const auto phases = PhasesOf(Phased(R"(
      phase { from_epoch: 4 set: "optimizer.learning_rate=0.5" set: "model.mlp.hidden_keep=0.25" }
      phase { from_epoch: 9 set: "optimizer.weight_decay=0" harden: true }
      phase { from_epoch: 10 set: "loss=SOFTMAX_CROSS_ENTROPY" })",
                                      {"epochs=12", "optimizer.weight_decay=0.125"}));
  ASSERT_TRUE(phases.ok()) << phases.status();
  std::vector<int> begins, ends;
  std::vector<bool> hardened;
  std::vector<double> rates, keeps, decays;
  for (const RecipePhase& phase : *phases) {
    begins.push_back(phase.begin);
    ends.push_back(phase.end);
    hardened.push_back(phase.hardened);
    rates.push_back(phase.recipe.optimizer().learning_rate());
    keeps.push_back(phase.recipe.model().mlp().hidden_keep());
    decays.push_back(phase.recipe.optimizer().weight_decay());
  }
  EXPECT_THAT(begins, ElementsAre(0, 3, 8, 9));
  EXPECT_THAT(ends, ElementsAre(3, 8, 9, 12));
  EXPECT_THAT(hardened, ElementsAre(false, false, true, true));
  EXPECT_THAT(rates, ElementsAre(TinyRecipe().optimizer().learning_rate(), 0.5, 0.5, 0.5));
  EXPECT_THAT(keeps, ElementsAre(0, 0.25, 0.25, 0.25));
  EXPECT_THAT(decays, ElementsAre(0.125, 0.125, 0, 0));
  EXPECT_EQ((*phases)[3].recipe.loss(), recipe::SOFTMAX_CROSS_ENTROPY);
  EXPECT_EQ((*phases)[1].changes, "optimizer.learning_rate=0.5, model.mlp.hidden_keep=0.25");
  EXPECT_EQ((*phases)[2].changes, "optimizer.weight_decay=0, hardened");
  std::vector<int> at;
  for (const int epoch : {0, 2, 3, 7, 8, 9, 11, 99}) at.push_back(PhaseAt(*phases, epoch));
  EXPECT_THAT(at, ElementsAre(0, 0, 1, 1, 2, 3, 3, 3));
}

// The last phases have an epoch each, and what is left is the others'.
TEST(PhasesTest, AShortRunBeginsThemEarlier) {
  const std::string text = "phase { from_epoch: 4 } phase { from_epoch: 9 }";
  const struct {
    int epochs;
    std::vector<int> begins;
  } cases[] = {{10, {0, 3, 8}}, {9, {0, 3, 8}}, {8, {0, 3, 7}}, {4, {0, 2, 3}},
               {3, {0, 1, 2}},  {2, {0, 0, 1}}, {1, {0, 0, 0}}};
  for (const auto& c : cases) {
    const auto phases = PhasesOf(Phased(text, {absl::StrCat("epochs=", c.epochs)}));
    ASSERT_TRUE(phases.ok()) << phases.status();
    std::vector<int> begins;
    for (const RecipePhase& phase : *phases) begins.push_back(phase.begin);
    EXPECT_EQ(begins, c.begins) << c.epochs << " epochs";
    EXPECT_EQ(phases->back().end, c.epochs);
  }
}

TEST(PhasesTest, WhatIsWrongIsNamed) {
  const struct {
    const char* phases;
    const char* text;
  } cases[] = {
      {"phase { }", "phase[0].from_epoch is 0; it has to be 2 or more"},
      {"phase { from_epoch: 1 }", "phase[0].from_epoch is 1; it has to be 2 or more"},
      {"phase { from_epoch: 2 } phase { from_epoch: 2 }", "phase[1].from_epoch is 2; it has to be 3 or more"},
      {"phase { from_epoch: 2 set: 'optimizer.lerning_rate=1' }",
       "phase[0].set[0]: optimizer.lerning_rate=1: there is no field 'lerning_rate' in Optimizer (did you mean "
       "'learning_rate'?)"},
      {"phase { from_epoch: 2 set: 'loss=SQUARED_HINGE' set: 'data.limit=5' }",
       "phase[0].set[1] is 'data.limit=5'; a phase can change fields of optimizer, schedule, model, loss, loss_scale, "
       "not 'data'"},
      {"phase { from_epoch: 2 set: 'epochs=5' }", "not 'epochs'"},
      {"phase { from_epoch: 2 set: 'phase[0].from_epoch=5' }", "not 'phase'"},
      {"phase { from_epoch: 2 set: 'optimizer' }", "phase[0].set[0]: optimizer: write"},
      {"phase { from_epoch: 2 set: 'optimizer.name=sgd' }", "phase[0] changes optimizer.name"},
      {"optimizer { rule { for: QUANTIZED_WEIGHTS name: 'sgd' } } "
       "phase { from_epoch: 2 set: 'optimizer.rule[0].name=adam' }",
       "phase[0] changes optimizer.name, or a rule's name"},
      {"phase { from_epoch: 2 set: 'model.conv_net.clip=1' }", "phase[0].set[0]: model.conv_net.clip=1: "},
      {"phase { from_epoch: 2 set: 'optimizer.learning_rate=-1' }",
       "optimizer.learning_rate is -1; it has to be positive (in phase[0])"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(std::string(ValidateRecipe(Phased(c.phases)).message()), HasSubstr(c.text)) << c.phases;
  }
}

// Fields of phases can be set as others can.
TEST(PhasesTest, TheCommandLineSetsThem) {
  recipe::Recipe recipe =
      Phased("phase { from_epoch: 2 set: 'optimizer.learning_rate=1' set: 'schedule.name=cosine' }");
  const auto set = [&](const char* assignment) {
    const absl::Status status = SetField(assignment, recipe);
    EXPECT_TRUE(status.ok()) << status;
  };
  set("phase[0].from_epoch=3");
  set("phase[0].set[0]=optimizer.learning_rate=0.25");
  set("phase[0].harden=true");
  ASSERT_TRUE(ValidateRecipe(recipe).ok());
  const std::vector<RecipePhase> phases = *PhasesOf(recipe);
  EXPECT_EQ(phases[1].begin, 2);
  EXPECT_EQ(phases[1].recipe.optimizer().learning_rate(), 0.25);
  EXPECT_EQ(phases[1].recipe.schedule().name(), "cosine");
  EXPECT_TRUE(phases[1].hardened);
  set("phase[0].set=optimizer.weight_decay=0.5,schedule.name=constant");
  EXPECT_EQ((*PhasesOf(recipe))[1].recipe.optimizer().weight_decay(), 0.5);
  set("phase[0].set=[]");
  EXPECT_EQ((*PhasesOf(recipe))[1].changes, "hardened");
}

TEST(PhasesTest, AModelContinuesWithTheValuesOfAnother) {
  ParameterStore before(1);
  before.Root().NewParameter("a", {2, 3}, Initializer::Uniform(1));
  {
    ParameterStore next(ParameterStore::Continues{before});
    const Parameter& a = next.Root().NewParameter("a", {2, 3}, Initializer::Constant(7));
    ASSERT_TRUE(next.status().ok()) << next.status();
    ExpectSameBits(a.value, before.Find("a")->value);
  }
  ParameterStore other(ParameterStore::Continues{before});
  other.Root().NewParameter("a", {3, 2}, Initializer::Constant(7));
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("parameter 'a' is [3, 2], and was [2, 3]"));
  ParameterStore more(ParameterStore::Continues{before});
  (more.Root() / "layer").NewParameter("b", {1}, Initializer::Constant(7));
  EXPECT_THAT(std::string(more.status().message()), HasSubstr("layer 'layer': parameter 'b' is new"));
}

// ---- Runs ------------------------------------------------------------------------------------------------------

class PhasedRunTest : public OnTestDevice<testing::Test> {};

constexpr char kTwoPhases[] = R"(
    phase {
      from_epoch: 3
      set: "optimizer.learning_rate=0.0005"
      set: "optimizer.weight_decay=0.001"
      set: "schedule.name=cosine"
      set: "model.mlp.hidden_keep=0.75"
    })";

// What comes before the phase is the run without it that ends there; the schedule begins anew.
TEST_F(PhasedRunTest, APhaseGoesOnFromTheOneBefore) {
  const std::vector<std::string> rate = {"optimizer.learning_rate=0.002", "schedule.final_learning_rate=0.0002"};
  std::vector<std::string> four = rate, two = rate;
  four.push_back("epochs=4");
  two.push_back("epochs=2");
  const std::string phased = NewDirectory(), plain = NewDirectory();
  Log log(/*interrupt_at_line=*/2);
  ASSERT_TRUE(absl::IsCancelled(Train(Phased(kTwoPhases, four), {.out_dir = phased}, log).status()));
  ASSERT_TRUE(Train(TinyRecipe(two), {.out_dir = plain}).ok());
  const auto expected = Checkpoint::Open(plain + "/checkpoint.bgc");
  ASSERT_TRUE(expected.ok()) << expected.status();
  {
    // The signal comes after the second epoch's line, so that a batch of the third is done.
    const auto stopped = Checkpoint::Open(phased + "/checkpoint.bgc");
    ASSERT_TRUE(stopped.ok()) << stopped.status();
    EXPECT_EQ(stopped->header().progress().epoch(), 2);
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(stopped->header().epochs(i).loss(), expected->header().epochs(i).loss());
      EXPECT_EQ(stopped->header().epochs(i).learning_rate(), expected->header().epochs(i).learning_rate());
      EXPECT_EQ(stopped->header().epochs(i).test_error(), expected->header().epochs(i).test_error());
    }
  }
  const auto result = Train(Phased(kTwoPhases, four), {.out_dir = phased, .resume = true}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  const checkpoint::Header header = Checkpoint::Open(phased + "/checkpoint.bgc")->header();
  // The last of 10 batches of the epochs: a cosine of two epochs from 0.0005 to 0.0002.
  for (const int epoch : {0, 1}) {
    const double root = std::cos(std::acos(0.0) * (epoch + 0.9) / 2);
    EXPECT_NEAR(header.epochs(2 + epoch).learning_rate(), 0.0002 + 0.0003 * root * root, 1e-9);
  }
  EXPECT_THAT(log.text(), AllOf(HasSubstr("phase 1 of 2, epochs 1 to 2\n"),
                                HasSubstr("phase 2 of 2, epochs 3 to 4: optimizer.learning_rate=0.0005, optimizer.")));
}

TEST_F(PhasedRunTest, ResumesInEachPhaseBitForBit) {
  const recipe::Recipe recipe =
      Phased(absl::StrCat(kTwoPhases, "phase { from_epoch: 4 set: 'model.mlp.input_keep=0.5' }"), {"epochs=5"});
  const std::string whole = NewDirectory(), parts = NewDirectory();
  ASSERT_TRUE(Train(recipe, {.out_dir = whole}).ok());
  for (int run = 0; run < 4; ++run) {
    Log log(/*interrupt_at_line=*/1);
    const auto stopped = Train(recipe, {.out_dir = parts, .resume = run > 0}, log);
    ASSERT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
  }
  ASSERT_TRUE(Train(recipe, {.out_dir = parts, .resume = true}).ok());
  ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
  ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
}

// However well an earlier phase did: here the last one unlearns.
TEST_F(PhasedRunTest, TheBestModelIsOneOfTheLastPhase) {
  const std::string directory = NewDirectory();
  const recipe::Recipe recipe =
      Phased("phase { from_epoch: 3 set: 'optimizer.learning_rate=50' set: 'schedule.name=constant' }", {"epochs=4"});
  const auto result = Train(recipe, {.out_dir = directory});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto best = Checkpoint::Open(directory + "/best.bgc");
  ASSERT_TRUE(best.ok()) << best.status();
  const checkpoint::Header& header = best->header();
  ASSERT_GE(header.progress().best_epoch(), 3);
  ASSERT_LT(header.epochs(1).valid_error(), header.epochs(2).valid_error());
  EXPECT_EQ(result->best.epoch(), header.progress().best_epoch());
  // It is loaded as its phase made it.
  const auto bundle = LoadModel(*best);
  ASSERT_TRUE(bundle.ok()) << bundle.status();
}

// A run of one epoch has the last phase only.
TEST_F(PhasedRunTest, ARunOfOneEpoch) {
  const std::string directory = NewDirectory();
  Log log;
  const auto result = Train(Phased(kTwoPhases, {"epochs=1", "data.limit=200"}), {.out_dir = directory}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), HasSubstr("phase 2 of 2, epochs 1 to 1: optimizer.learning_rate=0.0005"));
  EXPECT_TRUE(LoadModel(*Checkpoint::Open(directory + "/best.bgc")).ok());
  EXPECT_TRUE(Train(Phased(kTwoPhases, {"epochs=1", "data.limit=200"}), {.out_dir = directory, .resume = true}).ok());
}

TEST_F(PhasedRunTest, WhatIsWrongIsFoundBeforeTraining) {
  const struct {
    const char* set;
    const char* text;
  } cases[] = {
      {"model.mlp.hidden=16,17", "parameter 'weight' is [17, 16], and was [16, 16]"},
      {"model.mlp.hidden=16", "it has no 'hidden2/weight'"},
      {"model.mlp.weight_quantizer=sing", "model.mlp.weight_quantizer"},
      {"optimizer.beta1=1", "beta1"},
      {"schedule.name=quadratic", "no schedule 'quadratic'"},
      {"model.mlp.norm.reestimate_batches=-1", "reestimate_batches"},
  };
  for (const auto& c : cases) {
    const auto result =
        Train(Phased(absl::StrCat("phase { from_epoch: 3 set: '", c.set, "' }")), {.out_dir = NewDirectory()});
    EXPECT_THAT(std::string(result.status().message()), AllOf(HasSubstr(c.text), HasSubstr("in phase[0]"))) << c.set;
  }
}

// ---- Learned bit lengths, then hardened ones -------------------------------------------------------------------

constexpr char kHardened[] = "phase { from_epoch: 3 harden: true set: 'optimizer.learning_rate=0.0005' }";

recipe::Recipe BitPruningRecipe(const std::vector<std::string>& more = {}) {
  std::vector<std::string> assignments = {"model.mlp.activation_quantizer=bit_pruning",
                                          "model.mlp.weight_quantizer=bit_pruning",
                                          "model.mlp.activation=relu",
                                          "model.bit_cost.gamma.initial=1",
                                          "optimizer.learning_rate=0.02",
                                          "optimizer.glorot_scale=false",
                                          "epochs=4"};
  assignments.insert(assignments.end(), more.begin(), more.end());
  return Phased(kHardened, assignments);
}

double ValueOf(const checkpoint::EpochMetrics& metrics, const std::string& name) {
  for (const checkpoint::ModelValue& value : metrics.values()) {
    if (value.name() == name) return value.value();
  }
  ADD_FAILURE() << "no " << name;
  return 0;
}

// The cost of bits drives them down while they are learned; then they are whole and stay.
TEST_F(PhasedRunTest, BitLengthsAreLearnedThenHardened) {
  const std::string directory = NewDirectory();
  Log log;
  const auto result = Train(BitPruningRecipe(), {.out_dir = directory}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  const auto best = Checkpoint::Open(directory + "/best.bgc");
  ASSERT_TRUE(best.ok()) << best.status();
  const checkpoint::Header header = Checkpoint::Open(directory + "/checkpoint.bgc")->header();
  for (const char* name : {"average_weight_bits", "average_activation_bits"}) {
    std::vector<double> bits;
    for (const checkpoint::EpochMetrics& metrics : header.epochs()) bits.push_back(ValueOf(metrics, name));
    EXPECT_LT(bits[1], bits[0]) << name;
    EXPECT_LT(bits[0], 8) << name;
    EXPECT_GE(bits[2], bits[1]) << name << " is rounded up";
    EXPECT_LT(bits[2], bits[1] + 1) << name;
    EXPECT_EQ(bits[3], bits[2]) << name;
  }
  EXPECT_TRUE(header.epochs(1).has_penalty());
  EXPECT_FALSE(header.epochs(2).has_penalty());
  EXPECT_THAT(log.text(), AllOf(HasSubstr("phase 2 of 2, epochs 3 to 4: optimizer.learning_rate=0.0005, hardened\n"),
                                HasSubstr("  weight_bits="), HasSubstr(" average_activation_bits=")));
  const ModelBundle bundle = *LoadModel(*best);
  for (const Parameter* parameter : bundle.store->parameters()) {
    if (parameter->name.find("/quantizer/bits") == std::string::npos) continue;
    for (const float bits : parameter->value.span<float>()) EXPECT_EQ(bits, std::floor(bits)) << parameter->name;
  }
}

TEST_F(PhasedRunTest, BitLengthsResumeBitForBit) {
  const recipe::Recipe recipe = BitPruningRecipe();
  const std::string whole = NewDirectory(), parts = NewDirectory();
  ASSERT_TRUE(Train(recipe, {.out_dir = whole}).ok());
  for (int run = 0; run < 3; ++run) {
    Log log(/*interrupt_at_line=*/1);
    const auto stopped = Train(recipe, {.out_dir = parts, .resume = run > 0}, log);
    ASSERT_TRUE(absl::IsCancelled(stopped.status())) << stopped.status();
  }
  ASSERT_TRUE(Train(recipe, {.out_dir = parts, .resume = true}).ok());
  ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
  ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
}

// Nothing was learned yet where the hardened phase is the only one.
TEST_F(PhasedRunTest, BitLengthsOfARunOfOneEpoch) {
  const auto result = Train(BitPruningRecipe({"epochs=1", "data.limit=200"}), {.out_dir = NewDirectory()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(ValueOf(result->best, "average_weight_bits"), 8);
}

// A checkpoint with a number that no training leaves behind is refused, with layer and variable.
TEST_F(PhasedRunTest, NumbersOfQuantizersOutsideOfTheirBounds) {
  const std::string directory = NewDirectory(), path = directory + "/checkpoint.bgc";
  const recipe::Recipe recipe = BitPruningRecipe({"epochs=2", "data.limit=200"});
  ASSERT_TRUE(Train(recipe, {.out_dir = directory}).ok());
  const auto good = Checkpoint::Open(path);
  ASSERT_TRUE(good.ok()) << good.status();
  for (const float wrong : {0.5f, 9.0f, std::nanf(""), -1.0f}) {
    const ModelBundle bundle = *LoadModel(*good);
    Parameter* const bits = bundle.store->Find("hidden2/weight/quantizer/bits");
    ASSERT_NE(bits, nullptr);
    bits->value.mutable_data<float>()[0] = wrong;
    ExecContext context({.threads = 1});
    const std::string changed = NewDirectory() + "/changed.bgc";
    ASSERT_TRUE(WriteCheckpoint(context, changed, good->header(), *bundle.store, nullptr).ok());
    const auto loaded = LoadModel(*Checkpoint::Open(changed));
    EXPECT_THAT(std::string(loaded.status().message()),
                AllOf(HasSubstr("parameter 'hidden2/weight/quantizer/bits' is "), HasSubstr("from 1 to 8"),
                      HasSubstr(changed)));
  }
}

// A step size that a step has made zero or negative ends the training, and is named.
TEST_F(PhasedRunTest, AScaleThatIsNoneEndsTheTraining) {
  const recipe::Recipe recipe = TinyRecipe(
      {"model.mlp.weight_quantizer=lsq(2)", "model.mlp.activation_quantizer=lsq(2)", "model.mlp.activation=relu",
       "optimizer.name=sgd", "optimizer.glorot_scale=false", "optimizer.learning_rate=1000", "schedule.name=constant"});
  const auto result = Train(recipe, {.out_dir = NewDirectory()});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange) << result.status();
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(HasSubstr("training stopped in epoch 1, batch 1: "), HasSubstr("/quantizer/step'"),
                    HasSubstr("had to stay above 0")));
}

// Another number of epochs must not put epochs that are done into another phase; the phases are part of the recipe.
TEST_F(PhasedRunTest, PhasesStayWhereTheyWereOnResume) {
  const std::string directory = NewDirectory();
  const std::string text = "phase { from_epoch: 4 set: 'optimizer.learning_rate=0.0005' }";
  ASSERT_TRUE(Train(Phased(text, {"epochs=2", "data.limit=200"}), {.out_dir = directory}).ok());
  const auto resume = [&](const recipe::Recipe& recipe) {
    return std::string(Train(recipe, {.out_dir = directory, .resume = true}).status().message());
  };
  EXPECT_THAT(resume(Phased(text, {"epochs=5", "data.limit=200"})),
              AllOf(HasSubstr("epoch 2 was trained in phase 2 of the recipe, but with 5 epochs it would be in phase 1"),
                    HasSubstr(directory)));
  EXPECT_THAT(resume(Phased("phase { from_epoch: 4 }", {"epochs=2", "data.limit=200"})), HasSubstr("phase[0].set"));
  EXPECT_EQ(resume(Phased(text, {"epochs=2", "data.limit=200"})), "");
}

}  // namespace
}  // namespace bitgrad
