// Pooling ops: values and gradients, what they keep for the backward pass, what an exporter reads, and user errors. The
// kernels are tested in cpu/pool_test.cc.

#include "bitgrad/ops/pool.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/pool.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

PoolGeometry GeometryOf(const Shape& x, const PoolOptions& o) {
  return {.batch = x.dim(0),
          .height = x.dim(1),
          .width = x.dim(2),
          .channels = x.dim(3),
          .kernel_height = o.kernel.height,
          .kernel_width = o.kernel.width,
          .stride_height = o.stride.height,
          .stride_width = o.stride.width,
          .pad_height = o.pad.height,
          .pad_width = o.pad.width};
}

// ---- Values and gradients -----------------------------------------------------------------------------

struct PoolCase {
  Shape x;
  PoolOptions options;
};

std::vector<PoolCase> Cases() {
  return {
      {{1, 2, 2, 1}, {}},
      {{2, 5, 4, 3}, {}},
      {{1, 7, 5, 2}, {.kernel = 3}},
      {{2, 5, 6, 3}, {.kernel = 3, .pad = 1}},
      {{1, 4, 5, 17}, {.kernel = {3, 2}, .stride = 1, .pad = {2, 0}}},
      {{1, 8, 7, 5}, {.kernel = {2, 1}, .stride = {3, 2}, .pad = {1, 0}}},
      {{3, 3, 4, 2}, {.kernel = 1, .stride = 1}},
      {{2, 3, 4, 5}, {.kernel = {3, 4}}},
  };
}

std::vector<double> LargestOf(const PoolGeometry& g, const std::vector<double>& x) {
  std::vector<double> y(g.pixels() * g.channels, -std::numeric_limits<double>::infinity());
  reference::ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) { y[iy] = std::max(y[iy], x[ix]); });
  return y;
}

std::vector<double> MeanOf(const PoolGeometry& g, const std::vector<double>& x) {
  std::vector<double> y(g.pixels() * g.channels, 0.0), count = y;
  reference::ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) {
    y[iy] += x[ix];
    count[iy] += 1;
  });
  for (size_t i = 0; i < y.size(); ++i) y[i] /= count[i];
  return y;
}

// Values of which no two are near each other, for images of fewer than 1009 elements: where two largest are equal, the
// maximum has no derivative.
float Distinct(TestRandom&, int64_t i) { return 0.01f * static_cast<float>(i * 37 % 1009) - 5; }

using PoolOnDeviceTest = OnTestDevice<testing::Test>;

TEST_F(PoolOnDeviceTest, MaxAgreesWithDoublePrecision) {
  for (const PoolCase& c : Cases()) {
    CheckGradients({.name = "max_pool of " + c.x.ToString(),
                    .operands = {{.shape = c.x, .draw = Distinct}},
                    .op = [&](absl::Span<const Var> v) { return MaxPool(v[0], c.options); },
                    .value = [&](const Doubles& v) { return LargestOf(GeometryOf(c.x, c.options), v[0]); },
                    .roundings = 9},
                   /*seed=*/1);
    if (HasFailure()) return;
  }
}

TEST_F(PoolOnDeviceTest, AverageAgreesWithDoublePrecision) {
  for (const PoolCase& c : Cases()) {
    CheckGradients({.name = "average_pool of " + c.x.ToString(),
                    .operands = {{.shape = c.x}},
                    .op = [&](absl::Span<const Var> v) { return AveragePool(v[0], c.options); },
                    .value = [&](const Doubles& v) { return MeanOf(GeometryOf(c.x, c.options), v[0]); },
                    .roundings = 14},
                   /*seed=*/2);
    if (HasFailure()) return;
  }
}

// The mean of codes is the sum of integers, times scale / count, to the last bit; its gradient is that of any mean.
TEST_F(PoolOnDeviceTest, AverageOfCodesIsExact) {
  for (const char* text : {"sign", "sign(scale=0.3)", "k_bit(3)", "dorefa_activation(2)", "ternary(0.5)"}) {
    const Quantizer quantizer = *ParseQuantizer(text);
    for (const PoolCase& c : Cases()) {
      TestRandom random(17);
      SCOPED_TRACE(absl::StrCat(text, " of ", c.x.ToString(), ", ", random.ToString()));
      const PoolGeometry g = GeometryOf(c.x, c.options);
      ExecContext context({.device = TestDevice(), .threads = 2});
      Tape tape(context);
      const Var x = tape.Differentiable(ToDevice(context, random.UniformTensor(c.x, -1, 1)));
      const Var codes = Quantize(x, quantizer);
      const Var y = AveragePool(codes, c.options);
      const Tensor r = random.UniformTensor(y.shape());
      ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(ToDevice(context, r))))).ok()) << tape.status();
      const float scale = quantizer.scale(1);
      std::vector<float> sums(y.shape().num_elements()), count = sums;
      const Tensor values = ToHost(context, **tape.Value(codes));
      reference::ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) {
        sums[iy] += std::round(values.data<float>()[ix] / scale);
        count[iy] += 1;
      });
      const Tensor means = ToHost(context, **tape.Value(y));
      for (size_t i = 0; i < sums.size(); ++i) {
        ASSERT_EQ(means.data<float>()[i], sums[i] * (scale / count[i])) << i;
      }
      // Inside its window the sign hands the gradient on unchanged.
      if (quantizer.ToString() != "sign") continue;
      EXPECT_EQ(ValuesOf(ToHost(context, **tape.Gradient(x))), reference::AveragePoolBackward(g, ValuesOf(r)));
    }
  }
}

TEST(PoolOpTest, GlobalAverageIsAMatrix) {
  const Shape shape({2, 3, 5, 7});
  CheckGradients({.name = "global average",
                  .operands = {{.shape = shape}},
                  .op = [](absl::Span<const Var> v) { return GlobalAveragePool(v[0]); },
                  .value =
                      [&](const Doubles& v) {
                        return MeanOf(GeometryOf(shape, {.kernel = {3, 5}}), v[0]);
                      },
                  .roundings = 18},
                 /*seed=*/3);
  ExecContext context({.threads = 1});
  Tape tape(context);
  EXPECT_EQ(GlobalAveragePool(tape.Input(Tensor::Zeros(shape))).shape(), Shape({2, 7}));
}

TEST(PoolOpTest, TheFirstOfSeveralLargestTakesTheGradient) {
  ExecContext context({.threads = 1});
  Tape tape(context);
  const Var x = tape.Differentiable(Floats({1, 2, 4, 1}, {1, 3, -2, -5,  //
                                                          3, 3, -5, -2}));
  const Var y = MaxPool(x);
  ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(Floats({1, 1, 2, 1}, {10, 20}))))).ok());
  EXPECT_EQ(ValuesOf(**tape.Gradient(x)), (std::vector<float>{0, 10, 20, 0, 0, 0, 0, 0}));
}

// ---- What is kept, and what an exporter reads -----------------------------------------------------------

TEST(PoolOpTest, MaxKeepsAByteAndAverageNothing) {
  ExecContext context({.threads = 1});
  const Tensor x = Filled({1, 32, 32, 4}, 0.5f);  // 1024 outputs
  const auto live = [&] { return static_cast<int64_t>(context.allocator().live_bytes()); };
  {
    Tape tape(context);
    Var y = MaxPool(tape.Differentiable(x));
    EXPECT_EQ(live(), 1024 * 4 + 1024);
    y = Var();
    EXPECT_EQ(live(), 1024);
    tape.Reset();
    y = AveragePool(tape.Differentiable(x));
    y = Var();
    EXPECT_EQ(live(), 0);
    y = MaxPool(tape.Input(x));
    EXPECT_EQ(live(), 1024 * 4) << "no gradient is wanted";
  }
  ExecContext evaluation({.threads = 1});
  Tape tape(evaluation, Mode::kEval);
  const Var y = MaxPool(tape.Differentiable(x));
  EXPECT_EQ(evaluation.allocator().peak_bytes(), 1024u * 4);
}

TEST(PoolOpTest, StepsTakeNothingFromTheSystemAfterTheFirst) {
  ExecContext context({.threads = 2});
  const Tensor x = Filled({2, 32, 32, 33}, 0.5f);
  int64_t after_first = 0;
  for (int step = 0; step < 20; ++step) {
    {
      Tape tape(context);
      const Var y = AveragePool(MaxPool(tape.Differentiable(x)), {.kernel = 3});
      ASSERT_TRUE(tape.Backward(Sum(GlobalAveragePool(y))).ok());
    }
    EXPECT_EQ(context.allocator().live_bytes(), 0u);
    if (step == 0) after_first = context.allocator().system_allocations();
  }
  EXPECT_EQ(context.allocator().system_allocations(), after_first);
}

TEST(PoolOpTest, DescribesItself) {
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  const PoolOptions options = {.kernel = {3, 4}, .stride = {5, 6}, .pad = {1, 2}};
  const Var x = tape.Input(Tensor::Zeros({1, 8, 8, 2}));
  for (const auto& [y, name] :
       {std::pair(MaxPool(x, options), "max_pool"), {AveragePool(x, options), "average_pool"}}) {
    const OpDescriptor& descriptor = tape.nodes()[y.index()].descriptor;
    EXPECT_EQ(descriptor.op, name);
    const auto geometry = descriptor.Get<PoolGeometry>("geometry", {});
    EXPECT_EQ(geometry.kernel_height, 3);
    EXPECT_EQ(geometry.kernel_width, 4);
    EXPECT_EQ(geometry.stride_height, 5);
    EXPECT_EQ(geometry.stride_width, 6);
    EXPECT_EQ(geometry.pad_height, 1);
    EXPECT_EQ(geometry.pad_width, 2);
  }
}

// ---- Misuse -------------------------------------------------------------------------------------------

// The message of both ops, without their names, which have to be in front.
std::string Error(const Shape& shape, const PoolOptions& options = {}) {
  ExecContext context({.threads = 1});
  std::string messages[2];
  for (const bool max : {false, true}) {
    Tape tape(context);
    const Var x = tape.Differentiable(Tensor::Zeros(shape));
    const Var y = max ? MaxPool(x, options) : AveragePool(x, options);
    EXPECT_EQ(y.shape(), Shape({0}));
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kInvalidArgument);
    const std::string message(tape.status().message()), prefix = max ? "max_pool: " : "average_pool: ";
    EXPECT_EQ(message.substr(0, prefix.size()), prefix);
    messages[max] = message.substr(std::min(message.size(), prefix.size()));
  }
  EXPECT_EQ(messages[0], messages[1]);
  return messages[0];
}

TEST(PoolOpTest, Misuse) {
  const std::string rank = " has to be [batch, height, width, channels]";
  EXPECT_EQ(Error({2, 3, 4}), "input [2, 3, 4]" + rank);
  EXPECT_EQ(Error({}), "input []" + rank);
  EXPECT_EQ(Error({1, 1, 2, 3, 4}), "input [1, 1, 2, 3, 4]" + rank);
  EXPECT_EQ(Error({0, 4, 4, 3}), "input [0, 4, 4, 3] is empty");
  EXPECT_EQ(Error({1, 4, 0, 3}), "input [1, 4, 0, 3] is empty");

  const Shape image({1, 4, 5, 2});
  EXPECT_EQ(Error(image, {.kernel = {0, 2}}), "kernel [0, 2] and stride [2, 2] have to be in [1, 524288]");
  EXPECT_EQ(Error(image, {.kernel = {2, -1}}), "kernel [2, -1] and stride [2, 2] have to be in [1, 524288]");
  EXPECT_EQ(Error(image, {.stride = {0, 2}}), "kernel [2, 2] and stride [0, 2] have to be in [1, 524288]");
  EXPECT_EQ(Error(image, {.stride = {2, -3}}), "kernel [2, 2] and stride [2, -3] have to be in [1, 524288]");
  const std::string pad = " has to be at least 0 and smaller than kernel [2, 2], so that no window is empty";
  EXPECT_EQ(Error(image, {.pad = {2, 0}}), "pad [2, 0]" + pad);
  EXPECT_EQ(Error(image, {.pad = {0, 2}}), "pad [0, 2]" + pad);
  EXPECT_EQ(Error(image, {.pad = {-1, 0}}), "pad [-1, 0]" + pad);
  EXPECT_EQ(Error(image, {.pad = {0, -1}}), "pad [0, -1]" + pad);
  EXPECT_EQ(Error(image, {.kernel = {5, 2}}), "input [1, 4, 5, 2] with pad [0, 0] is smaller than kernel [5, 2]");
  EXPECT_EQ(Error(image, {.kernel = {2, 8}, .pad = {0, 1}}),
            "input [1, 4, 5, 2] with pad [0, 1] is smaller than kernel [2, 8]");
}

TEST(PoolOpTest, WindowsThatAreTooLarge) {
  const Shape image({1, 4, 5, 2});
  const int64_t large = int64_t{1} << 21, absurd = int64_t{1} << 61, limit = std::numeric_limits<int64_t>::max();
  for (const int64_t extent : {large, absurd, limit}) {
    const std::string e = std::to_string(extent);
    EXPECT_EQ(Error(image, {.kernel = extent, .stride = 1, .pad = extent - 1}),
              "kernel [" + e + ", " + e + "] and stride [1, 1] have to be in [1, 524288]");
    EXPECT_EQ(Error(image, {.stride = {2, extent}}),
              "kernel [2, 2] and stride [2, " + e + "] have to be in [1, 524288]");
  }
  EXPECT_EQ(Error(image, {.kernel = {1 << 19, 64}, .pad = {(1 << 19) - 1, 63}}),
            "kernel [524288, 64] has more than 16777216 elements");
  // Windows that are allowed, with a result that is not.
  const PoolOptions options = {.kernel = {1 << 19, 1}, .stride = 1, .pad = {(1 << 19) - 1, 0}};
  const Tensor images({1 << 21, 1, 1, 2}, DType::kFloat32);  // Nobody reads them.
  ExecContext context({.threads = 1});
  for (const bool max : {false, true}) {
    Tape tape(context);
    const Var x = tape.Input(images);
    EXPECT_EQ((max ? MaxPool(x, options) : AveragePool(x, options)).shape(), Shape({0}));
    EXPECT_EQ(tape.status().message(), std::string(max ? "max_pool" : "average_pool") +
                                           ": the result's shape [2097152, 524288, 1, 2] has more than 2^40 elements");
  }
}

TEST(PoolOpTest, MisuseOfGlobalAverage) {
  ExecContext context({.threads = 1});
  for (const auto& [shape, message] :
       {std::pair(Shape({2, 3}), "average_pool: input [2, 3] has to be [batch, height, width, channels]"),
        {Shape({2, 0, 3, 4}), "average_pool: input [2, 0, 3, 4] is empty"}}) {
    Tape tape(context);
    EXPECT_EQ(GlobalAveragePool(tape.Input(Tensor::Zeros(shape))).shape(), Shape({0}));
    EXPECT_EQ(tape.status().message(), message);
  }
}

// A byte says which element of the window was the largest.
TEST(PoolOpTest, LargeWindowsHaveNoGradientOfTheMaximum) {
  ExecContext context({.threads = 1});
  const PoolOptions options = {.kernel = {16, 17}};
  const Tensor x = Filled({1, 20, 20, 2}, 1);
  Tape tape(context);
  EXPECT_EQ(MaxPool(tape.Input(x), options).shape(), Shape({1, 3, 2, 2}));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  MaxPool(tape.Differentiable(x), options);
  EXPECT_EQ(tape.status().message(),
            "max_pool: kernel [16, 17] has 272 elements; with more than 256 there is no gradient");
}

}  // namespace
}  // namespace bitgrad
