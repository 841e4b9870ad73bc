// The learning-rate finder: what it reads off curves that are drawn, quadratics whose limit is known, and that it
// leaves no trace.

#include "bitgrad/models/training/learning_rate_finder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/batch_source.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

constexpr int kBatches = 400;

// Rates from 1e-6 to 100, 50 a factor of ten.
std::vector<double> Rates() {
  std::vector<double> rates;
  for (int k = 0; k < kBatches; ++k) rates.push_back(1e-6 * std::pow(10, k / 50.0));
  return rates;
}

// 2 up to 1e-4, down to 1 at 1e-2 and, three times as steep, to -2 at 1; up again from 3.16 to 0 at 31.6.
double Drawn(double rate) {
  const double x = std::log10(rate);
  if (x < -4) return 2;
  if (x < -2) return 2 - (x + 4) / 2;
  if (x < 0) return 1 - 1.5 * (x + 2);
  return x < 0.5 ? -2 : -2 + 2 * (x - 0.5);
}

TEST(ReadLearningRatesTest, FindsThePlacesOfADrawnCurve) {
  const std::vector<double> rates = Rates();
  std::vector<double> losses;
  for (size_t k = 0; k < rates.size(); ++k) {
    // Single batches that are far off change nothing.
    losses.push_back(Drawn(rates[k]) + (k % 9 == 4 ? 5 : 0));
  }
  const auto curve = ReadLearningRates(rates, losses, kBatches);
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_EQ(curve->points.size(), size_t{kBatches});
  // A tenth of the fall of 4, which takes 0.8 of the logarithm.
  EXPECT_NEAR(std::log10(curve->begins), -3.2, 0.1);
  EXPECT_GT(curve->steepest, 0.99e-2);
  EXPECT_LT(curve->steepest, 1);
  EXPECT_NEAR(std::log10(curve->lowest), 0, 0.1);
  ASSERT_TRUE(curve->diverges.has_value());
  // A tenth of the fall above the least takes 0.2 of the logarithm.
  EXPECT_NEAR(std::log10(*curve->diverges), 0.7, 0.1);
  EXPECT_NEAR(std::log10(curve->suggested), -1.6, 0.1);
}

TEST(ReadLearningRatesTest, ASuggestionStaysATenthBelowTheDivergence) {
  // Falls from 1e-1 on, and is lost at 1.
  const std::vector<double> rates = Rates();
  std::vector<double> losses;
  for (const double rate : rates) losses.push_back(rate < 0.1 ? 2 : rate < 1 ? 1 - std::log10(rate) : 9);
  const auto curve = ReadLearningRates(rates, losses, kBatches);
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_NEAR(std::log10(curve->diverges.value_or(0)), 0, 0.1);
  EXPECT_DOUBLE_EQ(curve->suggested, *curve->diverges / 10);
  EXPECT_GT(std::sqrt(curve->begins * curve->lowest), curve->suggested);
}

TEST(ReadLearningRatesTest, ALossThatIsNotFiniteIsADivergence) {
  std::vector<double> rates = Rates(), losses;
  rates.resize(320);  // up to 2.5
  for (const double rate : rates) losses.push_back(std::max(Drawn(rate), -1.0));
  losses.pop_back();
  const auto curve = ReadLearningRates(rates, losses, kBatches);
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_EQ(curve->diverges, rates.back());
  // Without it nothing is known to diverge.
  rates.pop_back();
  EXPECT_FALSE(ReadLearningRates(rates, losses, kBatches)->diverges.has_value());
}

TEST(ReadLearningRatesTest, WhatCannotBeReadIsAnError) {
  const std::vector<double> rates = Rates();
  const auto flat = ReadLearningRates(rates, std::vector<double>(rates.size(), 2.0), kBatches);
  EXPECT_THAT(std::string(flat.status().message()), HasSubstr("does not fall"));
  std::vector<double> rising;
  for (const double rate : rates) rising.push_back(2 + rate);
  EXPECT_EQ(ReadLearningRates(rates, rising, kBatches).status().code(), absl::StatusCode::kFailedPrecondition);
  const std::vector<double> few(rates.begin(), rates.begin() + 20);
  EXPECT_THAT(std::string(ReadLearningRates(few, few, kBatches).status().message()), HasSubstr("too early"));
}

TEST(LearningRateRangeTest, Checks) {
  EXPECT_TRUE(LearningRateRange().Check().ok());
  for (const LearningRateRange& bad :
       {LearningRateRange{.least = 0}, LearningRateRange{.least = -1}, LearningRateRange{.least = 11},
        LearningRateRange{.greatest = std::numeric_limits<double>::infinity()},
        LearningRateRange{.least = std::nan("")}, LearningRateRange{.batches = 39}}) {
    EXPECT_EQ(bad.Check().code(), absl::StatusCode::kInvalidArgument) << bad.least << " " << bad.greatest;
  }
}

// mean((w - t)^2) over n elements. Its Hessian is 2 / n, so that steps of SGD are stable up to the rate n.
class Quadratic final : public Model {
 public:
  Quadratic(const Scope& scope, int64_t n) : w_(scope.NewParameter("w", {1, n}, Initializer::Constant(10))) {}
  Var Forward(const Var& x) override { return x.tape()->Use(w_); }

 private:
  Parameter& w_;
};

class Fit final : public Task {
 public:
  explicit Fit(int64_t n) : n_(n) {}
  absl::Span<const MetricInfo> metrics() const override { return kMetrics; }
  Batch Blank(int64_t examples) const override { return {.images = Tensor::Zeros({examples, n_})}; }
  absl::Status Check(const Batch&) const override { return absl::OkStatus(); }
  TaskOutput Forward(Model& model, Tape& tape, const Batch& batch) const override {
    TaskOutput output;
    output.predictions = model.Forward(tape.Input(batch.images));
    output.loss = MeanSquaredError(output.predictions, batch.images);
    return output;
  }
  absl::Status Measure(Tape& tape, const TaskOutput& output, const Batch&, MetricCell* cells) const override {
    const auto loss = tape.Value(output.loss);
    if (!loss.ok()) return loss.status();
    std::memcpy(&cells[0].mean, (*loss)->raw_data(), sizeof(float));
    return absl::OkStatus();
  }
  int64_t Count(const Batch& batch) const override { return batch.images.num_elements(); }

 private:
  static constexpr MetricInfo kMetrics[] = {{"squared_error", /*is_counted=*/false}};
  const int64_t n_;
};

// Seven targets near 0, so that a step is never without a gradient.
class Targets final : public BatchSource {
 public:
  explicit Targets(int64_t n) : n_(n) {}
  int64_t batches_per_epoch() const override { return 7; }
  int64_t examples_per_epoch() const override { return 7; }
  Filler Epoch(int64_t /*epoch*/) const override {
    return [n = n_](int64_t index, Batch* batch) {
      batch->images = Tensor::Zeros({1, n});
      for (float& t : batch->images.mutable_span<float>()) t = 0.03f * static_cast<float>(index - 3);
      batch->index = index;
      return absl::OkStatus();
    };
  }

 private:
  const int64_t n_;
};

class QuadraticTest : public testing::TestWithParam<int64_t> {
 protected:
  QuadraticTest() : n_(GetParam()), context_({.threads = 1}), store_(1), model_(store_.Root(), n_), task_(n_) {}

  absl::StatusOr<LearningRateCurve> Find(const LearningRateRange& range) {
    const auto loader = BatchLoader::Create(std::make_shared<const Targets>(n_));
    return FindLearningRate(context_, model_, store_, task_, *loader,
                            *MakeOptimizer(context_, "sgd", {.learning_rate = 0.5}), range);
  }

  const int64_t n_;
  ExecContext context_;
  ParameterStore store_;
  Quadratic model_;
  Fit task_;
};

// Beyond the limit w - t first has to grow from about 0.1 to 3, where the loss is a tenth of what it was: at 4.7 % a
// batch that takes 8 batches.
TEST_P(QuadraticTest, DivergesAtTheLimitOfStability) {
  const auto limit = static_cast<double>(n_);
  const auto curve = Find({.least = 1e-4 * limit, .greatest = 1e2 * limit});
  ASSERT_TRUE(curve.ok()) << curve.status();
  ASSERT_TRUE(curve->diverges.has_value());
  EXPECT_GE(*curve->diverges, limit);
  EXPECT_LE(*curve->diverges, 2 * limit);
  EXPECT_LE(curve->suggested, *curve->diverges / 10);
  EXPECT_GE(curve->suggested, 1e-3 * limit);
  EXPECT_LT(curve->steepest, limit);
  // It ends soon after: the loss is then above twice the first one.
  EXPECT_LT(curve->points.size(), size_t{300});
  EXPECT_LT(curve->points.back().rate, 10 * limit);
}

TEST_P(QuadraticTest, EndsWhereTheLossIsNotFinite) {
  // A few batches lead from far below the limit to far above it.
  const auto limit = static_cast<double>(n_);
  const auto curve = Find({.least = 1e-4 * limit, .greatest = 1e30 * limit, .batches = 80});
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_TRUE(curve->diverges.has_value());
  for (const LearningRateCurve::Point& point : curve->points) EXPECT_TRUE(std::isfinite(point.loss));
}

TEST_P(QuadraticTest, LeavesNoTrace) {
  context_.set_step(17);
  Parameter& w = *store_.Find("w");
  const void* const memory = w.value.raw_data();
  const Tensor before = w.value.Clone();
  ASSERT_TRUE(Find({.least = 1e-3, .greatest = 1e3}).ok());
  EXPECT_EQ(w.value.raw_data(), memory);
  EXPECT_EQ(std::memcmp(w.value.raw_data(), before.raw_data(), before.byte_size()), 0);
  EXPECT_TRUE(w.gradient.is_null());
  EXPECT_EQ(context_.step(), 17u);
  // A rate that is too low for everything is an error, which leaves none either.
  EXPECT_FALSE(Find({.least = 1e-9, .greatest = 1e-7}).ok());
  EXPECT_EQ(std::memcmp(w.value.raw_data(), before.raw_data(), before.byte_size()), 0);
  EXPECT_EQ(context_.step(), 17u);
}

INSTANTIATE_TEST_SUITE_P(Sizes, QuadraticTest, testing::Values(4, 40));

TEST(FindLearningRateTest, OfARecipe) {
  const recipe::Recipe recipe = TinyRecipe({"data.limit=2100"});
  std::FILE* const log = std::tmpfile();
  const auto curve = FindLearningRate(recipe, {.range = {.batches = 200}, .threads = 1, .log = log});
  std::fclose(log);
  ASSERT_TRUE(curve.ok()) << curve.status();
  EXPECT_LE(curve->points.size(), size_t{200});
  EXPECT_GT(curve->suggested, 1e-4);
  EXPECT_LT(curve->suggested, 0.5);
  const std::string table = LearningRateTable(*curve, 10);
  EXPECT_EQ(std::count(table.begin(), table.end(), '\n'), 11) << table;
  for (const char* const mark : {"learning begins", "steepest", "suggested", "least loss"}) {
    EXPECT_THAT(table, HasSubstr(mark));
  }
  // The same again, bit for bit.
  std::FILE* const again_log = std::tmpfile();
  const auto again = FindLearningRate(recipe, {.range = {.batches = 200}, .threads = 1, .log = again_log});
  std::fclose(again_log);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(LearningRateTable(*again, 300), LearningRateTable(*curve, 300));
}

TEST(FindLearningRateTest, RecipesWithoutGradientsAreRefused) {
  const auto curve = FindLearningRate(*LoadRecipe("iris_conntra_mlp"), {});
  EXPECT_EQ(curve.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(curve.status().message()), HasSubstr("'iris_conntra_mlp'"));
}

}  // namespace
}  // namespace bitgrad
