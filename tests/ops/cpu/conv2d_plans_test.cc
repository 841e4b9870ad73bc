// What the float convolution keeps from call to call: oneDNN's primitives, and memory.

#include <cmath>
#include <cstdint>
#include <thread>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "bitgrad/ops/kernels/conv2d.h"
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

std::vector<ConvGeometry> Geometries() {
  std::vector<ConvGeometry> all;
  for (const int64_t channels : {1, 3, 16, 17, 33}) {
    for (const int64_t groups : {int64_t{1}, channels}) {
      all.push_back({.batch = 2,
                     .height = 9,
                     .width = 7,
                     .channels = channels,
                     .filters = 2 * channels,
                     .kernel_height = 3,
                     .kernel_width = 2,
                     .stride_height = 1 + channels % 2,
                     .stride_width = 1 + channels % 2,
                     .pad_height = 1,
                     .groups = groups});
    }
  }
  return all;
}

TEST(Conv2dPlansTest, TakesNothingFromTheSystemAfterTheFirstCall) {
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
TEST(Conv2dPlansTest, ManyGeometries) {
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

}  // namespace
}  // namespace bitgrad
