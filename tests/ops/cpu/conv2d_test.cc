// Float convolution and its gradients. oneDNN chooses its instruction set itself, so these tests run once.

#include "bitgrad/ops/kernels/conv2d.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/conv2d_float.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

struct Operands {
  std::vector<float> x, w, dy;
};

struct Results {
  std::vector<float> y, dx, dw;
};

// The results are filled with NaN first, because all of them have to be written.
Results Compute(ExecContext& context, const ConvGeometry& g, const Operands& operands) {
  const Kernels& kernels = CpuKernels();
  Results results{std::vector<float>(operands.dy.size(), NAN), std::vector<float>(operands.x.size(), NAN),
                  std::vector<float>(operands.w.size(), NAN)};
  kernels.conv2d_f32(context, g, operands.x.data(), operands.w.data(), results.y.data());
  kernels.conv2d_backward_input_f32(context, g, operands.dy.data(), operands.w.data(), results.dx.data());
  kernels.conv2d_backward_weight_f32(context, g, operands.x.data(), operands.dy.data(), results.dw.data());
  EXPECT_TRUE(context.status().ok()) << context.status();
  return results;
}

template <typename Draw>
Operands DrawOperands(const ConvGeometry& g, const Draw& draw) {
  Operands operands{std::vector<float>(g.batch * g.height * g.width * g.channels),
                    std::vector<float>(g.filters * g.patch_size()), std::vector<float>(g.pixels() * g.filters)};
  for (std::vector<float>* values : {&operands.x, &operands.w, &operands.dy}) {
    for (float& value : *values) value = draw();
  }
  return operands;
}

testing::Message Describe(const ConvGeometry& g) {
  return testing::Message() << "[" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels << "] * ["
                            << g.filters << ", " << g.kernel_height << ", " << g.kernel_width << ", "
                            << g.group_channels() << "], stride " << g.stride_height << " " << g.stride_width
                            << ", pad " << g.pad_height << " " << g.pad_width << ", dilation " << g.dilation_height
                            << " " << g.dilation_width << ", groups " << g.groups;
}

std::vector<ConvGeometry> Geometries() {
  std::vector<ConvGeometry> all;
  // Channels and filters around oneDNN's blocks of 8 and 16, over kernels, strides and borders in turn.
  const int64_t channels[] = {1, 3, 7, 8, 16, 17, 33}, filters[] = {1, 5, 8, 16, 31, 64};
  const int64_t kernels[] = {1, 2, 3, 5}, strides[] = {1, 2, 3};
  int64_t i = 0;
  for (const int64_t c : channels) {
    for (const int64_t o : filters) {
      const int64_t kernel = kernels[i % 4];
      all.push_back({.batch = 1 + i % 3,
                     .height = 9 + i % 5,
                     .width = 7 + i % 4,
                     .channels = c,
                     .filters = o,
                     .kernel_height = kernel,
                     .kernel_width = kernel,
                     .stride_height = strides[i % 3],
                     .stride_width = strides[i % 3],
                     .pad_height = i % (kernel / 2 + 1),
                     .pad_width = i % (kernel / 2 + 1)});
      ++i;
    }
  }
  // Height and width differ in everything.
  all.push_back({.batch = 2,
                 .height = 11,
                 .width = 6,
                 .channels = 5,
                 .filters = 9,
                 .kernel_height = 3,
                 .kernel_width = 2,
                 .stride_height = 2,
                 .stride_width = 1,
                 .pad_height = 2,
                 .pad_width = 0});
  all.push_back({.batch = 2,
                 .height = 3,
                 .width = 14,
                 .channels = 16,
                 .filters = 16,
                 .kernel_height = 1,
                 .kernel_width = 7,
                 .stride_height = 1,
                 .stride_width = 3,
                 .pad_height = 0,
                 .pad_width = 3});
  // A kernel as large as the image, and a border as wide as the kernel.
  all.push_back(
      {.batch = 3, .height = 4, .width = 5, .channels = 6, .filters = 7, .kernel_height = 4, .kernel_width = 5});
  all.push_back({.batch = 1,
                 .height = 2,
                 .width = 2,
                 .channels = 3,
                 .filters = 4,
                 .kernel_height = 3,
                 .kernel_width = 3,
                 .pad_height = 3,
                 .pad_width = 3});
  // What oneDNN 2.6 by itself computes wrongly (ops/cpu/onednn_conv.cc): 1x1 filters with a stride, few channels.
  for (const int64_t channels : {1, 3, 15}) {
    all.push_back({.batch = 5,
                   .height = 32,
                   .width = 31,
                   .channels = channels,
                   .filters = 64,
                   .kernel_height = 1,
                   .kernel_width = 1,
                   .stride_height = 2,
                   .stride_width = channels == 3 ? 2 : 3});
  }
  // Dilation.
  for (const int64_t stride : {1, 2}) {
    all.push_back({.batch = 2,
                   .height = 13,
                   .width = 12,
                   .channels = 17,
                   .filters = 19,
                   .kernel_height = 3,
                   .kernel_width = 3,
                   .stride_height = stride,
                   .stride_width = stride,
                   .pad_height = 2,
                   .pad_width = 1,
                   .dilation_height = 2,
                   .dilation_width = 2});
  }
  all.push_back({.batch = 1,
                 .height = 13,
                 .width = 12,
                 .channels = 32,
                 .filters = 32,
                 .kernel_height = 3,
                 .kernel_width = 3,
                 .dilation_height = 3,
                 .dilation_width = 2});
  // Groups, up to one channel each, and two filters per channel.
  for (const auto& [c, o, groups] : {std::array<int64_t, 3>{6, 4, 2},
                                     {16, 32, 4},
                                     {64, 32, 2},
                                     {5, 5, 5},
                                     {16, 16, 16},
                                     {33, 33, 33},
                                     {3, 6, 3},
                                     {16, 32, 16}}) {
    for (const int64_t stride : {1, 2}) {
      all.push_back({.batch = 2,
                     .height = 8,
                     .width = 9,
                     .channels = c,
                     .filters = o,
                     .kernel_height = 3,
                     .kernel_width = 3,
                     .stride_height = stride,
                     .stride_width = stride,
                     .pad_height = 1,
                     .pad_width = 1,
                     .groups = groups});
    }
  }
  all.push_back({.batch = 2,
                 .height = 9,
                 .width = 9,
                 .channels = 8,
                 .filters = 8,
                 .kernel_height = 3,
                 .kernel_width = 3,
                 .pad_height = 2,
                 .pad_width = 2,
                 .dilation_height = 2,
                 .dilation_width = 2,
                 .groups = 8});
  return all;
}

void ExpectNearSums(const std::vector<float>& actual, const std::vector<reference::Sum>& expected, int64_t terms) {
  ASSERT_EQ(actual.size(), expected.size());
  ExpectNear(
      static_cast<int64_t>(actual.size()), [&](int64_t i) { return actual[i]; },
      [&](int64_t i) { return expected[i].value; },
      [&](int64_t i) { return static_cast<double>(terms) * kEpsilon * expected[i].magnitude; });
}

TEST(Conv2dTest, AgreesWithTheSumOfProducts) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  ExecContext one({.threads = 1}), two({.threads = 2});
  for (const ConvGeometry& g : Geometries()) {
    SCOPED_TRACE(Describe(g));
    const Operands operands = DrawOperands(g, [&] { return random.Uniform(-2, 2); });
    for (ExecContext* context : {&one, &two}) {
      SCOPED_TRACE(testing::Message() << context->threads() << " threads");
      const Results results = Compute(*context, g, operands);
      ExpectNearSums(results.y, reference::Conv2d(g, operands.x, operands.w), g.patch_size());
      ExpectNearSums(results.dx, reference::Conv2dBackwardInput(g, operands.dy, operands.w),
                     g.kernel_height * g.kernel_width * g.group_filters());
      ExpectNearSums(results.dw, reference::Conv2dBackwardWeight(g, operands.x, operands.dy), g.pixels());
    }
    if (HasFailure()) return;
  }
}

void ExpectExactSums(const std::vector<float>& actual, const std::vector<reference::Sum>& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) {
    ASSERT_LT(expected[i].magnitude, 0x1p24);
    ASSERT_EQ(double{actual[i]}, expected[i].value) << "element " << i;
  }
}

// A transform such as Winograd's, or products rounded to bfloat16, would not be exact.
TEST(Conv2dTest, SumsOfIntegersAreExact) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  ExecContext one({.threads = 1}), two({.threads = 2});
  std::vector<ConvGeometry> geometries = Geometries();
  geometries.push_back({.batch = 2,
                        .height = 10,
                        .width = 10,
                        .channels = 64,
                        .filters = 64,
                        .kernel_height = 3,
                        .kernel_width = 3,
                        .pad_height = 1,
                        .pad_width = 1});
  for (const ConvGeometry& g : geometries) {
    SCOPED_TRACE(Describe(g));
    for (const int32_t most : {1, 127}) {
      // Odd numbers, as +-1 and the codes of symmetric quantizers are.
      const Operands operands =
          DrawOperands(g, [&] { return static_cast<float>(2 * static_cast<int32_t>(random.Below(most + 1)) - most); });
      for (ExecContext* context : {&one, &two}) {
        const Results results = Compute(*context, g, operands);
        ExpectExactSums(results.y, reference::Conv2d(g, operands.x, operands.w));
        ExpectExactSums(results.dx, reference::Conv2dBackwardInput(g, operands.dy, operands.w));
        ExpectExactSums(results.dw, reference::Conv2dBackwardWeight(g, operands.x, operands.dy));
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Conv2dTest, TakesNothingFromTheSystemAfterTheFirstCall) {
  for (const int threads : {1, 2}) {
    ExecContext context({.threads = threads});
    const std::vector<ConvGeometry> geometries = Geometries();
    const auto compute_all = [&] {
      for (const ConvGeometry& g : geometries) Compute(context, g, DrawOperands(g, [] { return 1.0f; }));
    };
    compute_all();
    EXPECT_EQ(context.allocator().live_bytes(), 0u);
    const int64_t before = context.allocator().system_allocations();
    compute_all();
    EXPECT_EQ(context.allocator().system_allocations(), before);
  }
}

// Uses more geometries than PlanFor() keeps, from two threads at a time, and the first ones again.
TEST(Conv2dTest, ManyGeometries) {
  const auto compute = [](int64_t first) {
    ExecContext context({.threads = 1});
    for (int64_t i = 0; i < 300; ++i) {
      const int64_t batch = first + i % 290;
      const ConvGeometry g = {
          .batch = batch, .height = 2, .width = 1, .channels = 1, .filters = 1, .kernel_height = 2, .kernel_width = 1};
      const Results results = Compute(context, g, DrawOperands(g, [] { return 3.0f; }));
      EXPECT_EQ(results.y, std::vector<float>(batch, 18));
      EXPECT_EQ(results.dx, std::vector<float>(batch * 2, 9));
      EXPECT_EQ(results.dw, std::vector<float>(2, static_cast<float>(9 * batch)));
    }
  };
  std::thread other(compute, 200);
  compute(1);
  other.join();
}

TEST(PadImageTest, PutsTheBorderAround) {
  Random random(3);
  BITGRAD_TRACE_SEED(random);
  ExecContext one({.threads = 1}), two({.threads = 2});
  for (const ConvGeometry& g :
       {ConvGeometry{.batch = 1, .height = 1, .width = 1, .channels = 1},
        ConvGeometry{.batch = 2, .height = 3, .width = 5, .channels = 7, .pad_height = 2},
        ConvGeometry{.batch = 2, .height = 4, .width = 1, .channels = 3, .pad_width = 3},
        ConvGeometry{.batch = 3, .height = 33, .width = 20, .channels = 31, .pad_height = 1, .pad_width = 2}}) {
    const auto x = RandomVector(random, g.batch * g.height * g.width * g.channels);
    const int64_t height = g.height + 2 * g.pad_height, width = g.width + 2 * g.pad_width;
    for (ExecContext* context : {&one, &two}) {
      for (const float border : {0.0f, 1.0f, -3.0f}) {
        std::vector<float> y(g.batch * height * width * g.channels, NAN);
        CpuKernels().pad_image_f32(*context, g, border, x.data(), y.data());
        for (size_t i = 0; i < y.size(); ++i) {
          const int64_t pixel = static_cast<int64_t>(i) / g.channels, c = static_cast<int64_t>(i) % g.channels;
          const int64_t n = pixel / (height * width);
          const int64_t h = pixel / width % height - g.pad_height, w = pixel % width - g.pad_width;
          const bool inside = h >= 0 && h < g.height && w >= 0 && w < g.width;
          ASSERT_EQ(y[i], inside ? x[((n * g.height + h) * g.width + w) * g.channels + c] : border) << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace bitgrad
