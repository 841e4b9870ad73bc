// Float convolution and its gradients, term by term.

#include "bitgrad/ops/kernels/conv2d.h"

#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/conv2d_float.h"

namespace bitgrad {
namespace {

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

class Conv2dTest : public KernelTest {
 protected:
  void SetUp() override {
    if (GetParam().device == Device::kCpu && GetParam().name != Places().front().name) {
      GTEST_SKIP() << "oneDNN chooses its instruction set itself";
    }
    KernelTest::SetUp();
  }

  static std::vector<ConvGeometry> AllGeometries() {
    std::vector<ConvGeometry> geometries = Geometries();
    if (GetParam().slow) std::erase_if(geometries, [](const ConvGeometry& g) { return g.macs() > 500'000; });
    return geometries;
  }

  // Each context's result is near the sums, one by one: rounding may depend on the number of threads. With `exact` the
  // sums are integers below 2^24.
  void ExpectSums(const Array<float>& actual, const std::vector<reference::Sum>& expected, int64_t terms, bool exact) {
    ASSERT_EQ(actual.count(), static_cast<int64_t>(expected.size()));
    for (const auto& context : contexts()) {
      SCOPED_TRACE(testing::Message() << context->threads() << " threads");
      const std::vector<float> values = actual.values(*context);
      for (size_t i = 0; i < values.size(); ++i) {
        const auto& [value, magnitude] = expected[i];
        const double tolerance = exact ? 0 : static_cast<double>(terms) * kRoundingError * magnitude;
        if (exact) {
          ASSERT_LT(magnitude, 0x1p24);
        }
        ASSERT_LE(std::fabs(values[i] - value), tolerance) << "element " << i << " is " << values[i];
      }
    }
  }

  template <typename Draw>
  void ExpectConvolution(const ConvGeometry& g, bool exact, const Draw& draw) {
    SCOPED_TRACE(Describe(g));
    const auto values = [&](int64_t count) {
      std::vector<float> values(count);
      for (float& value : values) value = draw();
      return values;
    };
    const int64_t inputs = g.batch * g.height * g.width * g.channels, weights = g.filters * g.patch_size();
    const int64_t outputs = g.pixels() * g.filters;
    const Array<float> x(*this, values(inputs)), w(*this, values(weights)), dy(*this, values(outputs));
    // The results hold NaN first, because all of them have to be written.
    const auto unset = [&](int64_t count) { return Array<float>(*this, std::vector<float>(count, NAN)); };
    const Array<float> y = unset(outputs), dx = unset(inputs), dw = unset(weights);
    Run([&](ExecContext& c, const Kernels& k) {
      k.conv2d_f32(c, g, x.on(c), w.on(c), y.on(c));
      k.conv2d_backward_input_f32(c, g, dy.on(c), w.on(c), dx.on(c));
      k.conv2d_backward_weight_f32(c, g, x.on(c), dy.on(c), dw.on(c));
    });
    ExpectSums(y, reference::Conv2d(g, x.initial(), w.initial()), g.patch_size(), exact);
    ExpectSums(dx, reference::Conv2dBackwardInput(g, dy.initial(), w.initial()),
               g.kernel_height * g.kernel_width * g.group_filters(), exact);
    ExpectSums(dw, reference::Conv2dBackwardWeight(g, x.initial(), dy.initial()), g.pixels(), exact);
  }
};

TEST_P(Conv2dTest, AgreesWithTheSumOfProducts) {
  Random random(1);
  for (const ConvGeometry& g : AllGeometries()) {
    ExpectConvolution(g, false, [&] { return random.Uniform(-2, 2); });
    if (HasFailure()) return;
  }
}

// A transform such as Winograd's, or products rounded to bfloat16, would not be exact.
TEST_P(Conv2dTest, SumsOfIntegersAreExact) {
  Random random(2);
  std::vector<ConvGeometry> geometries = AllGeometries();
  if (!GetParam().slow) {
    geometries.push_back({.batch = 2,
                          .height = 10,
                          .width = 10,
                          .channels = 64,
                          .filters = 64,
                          .kernel_height = 3,
                          .kernel_width = 3,
                          .pad_height = 1,
                          .pad_width = 1});
  }
  for (const ConvGeometry& g : geometries) {
    for (const int32_t most : {1, 127}) {
      // Odd numbers, as +-1 and the codes of symmetric quantizers are.
      ExpectConvolution(g, true,
                        [&] { return static_cast<float>(2 * static_cast<int32_t>(random.Below(most + 1)) - most); });
      if (HasFailure()) return;
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(Conv2dTest);

}  // namespace
}  // namespace bitgrad
