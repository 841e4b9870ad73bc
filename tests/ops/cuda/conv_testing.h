// Geometries that the tests of convolution kernels share. They are small, because an emulator computes them.

#ifndef BITGRAD_TESTS_OPS_CUDA_CONV_TESTING_H_
#define BITGRAD_TESTS_OPS_CUDA_CONV_TESTING_H_

#include <cstdint>
#include <ostream>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

inline std::ostream& operator<<(std::ostream& out, const ConvGeometry& g) {
  return out << "x [" << g.batch << ", " << g.height << ", " << g.width << ", " << g.channels << "], filters "
             << g.filters << ", kernel " << g.kernel_height << " x " << g.kernel_width << ", stride " << g.stride_height
             << " x " << g.stride_width << ", pad " << g.pad_height << " x " << g.pad_width << ", dilation "
             << g.dilation_height << " x " << g.dilation_width << ", groups " << g.groups << ", padding "
             << static_cast<int>(g.padding);
}

// Kernels with strides and borders; channels and filters take turns, and paddings do where there is a border. Then
// special cases: dilation, groups, unequal axes, a border wider than the kernel, a kernel larger than the image, many
// small images.
inline std::vector<ConvGeometry> ConvGeometries() {
  constexpr int64_t kChannels[] = {1, 3, 31, 32, 33, 64, 65, 130, 4, 16};
  constexpr int64_t kFilters[] = {1, 7, 64, 65, 32};
  constexpr Padding kPaddings[] = {Padding::kZero, Padding::kPlusOne, Padding::kZero, Padding::kMinusOne};
  std::vector<ConvGeometry> all;
  int turn = 0;
  const auto add = [&](ConvGeometry g) {
    if (g.channels == 0) g.channels = kChannels[turn % 10];
    if (g.filters == 0) g.filters = kFilters[turn % 5];
    if (g.batch == 0) g.batch = 1 + turn % 3;
    g.padding = g.has_border() ? kPaddings[turn % 4] : Padding::kZero;
    ++turn;
    all.push_back(g);
  };
  for (const int64_t kernel : {1, 3, 5}) {
    for (const int64_t stride : {1, 2, 3}) {
      for (int64_t pad = 0; pad <= kernel / 2; ++pad) {
        add({.height = kernel + 2,
             .width = kernel + 3,
             .kernel_height = kernel,
             .kernel_width = kernel,
             .stride_height = stride,
             .stride_width = stride,
             .pad_height = pad,
             .pad_width = pad});
      }
    }
  }
  // Each number of channels with each padding, and with more than one pixel away from the border.
  for (const int64_t channels : kChannels) {
    for (int i = 0; i < 2; ++i) {
      add({.height = 4,
           .width = 5,
           .channels = channels,
           .filters = 9,
           .kernel_height = 3,
           .kernel_width = 3,
           .pad_height = 1,
           .pad_width = 1});
    }
  }
  for (const int64_t channels : {3, 64, 65}) {
    add({.height = 7,
         .width = 6,
         .channels = channels,
         .kernel_height = 3,
         .kernel_width = 3,
         .pad_height = 2,
         .pad_width = 2,
         .dilation_height = 2,
         .dilation_width = 2});
  }
  for (const int64_t group_filters : {1, 5, 64}) {
    add({.height = 4,
         .width = 3,
         .channels = 2 * 33,
         .filters = 2 * group_filters,
         .kernel_height = 3,
         .kernel_width = 3,
         .pad_height = 1,
         .pad_width = 1,
         .groups = 2});
    add({.height = 5,
         .width = 4,
         .channels = 3 * 64,
         .filters = 3 * group_filters,
         .kernel_height = 3,
         .kernel_width = 2,
         .stride_width = 2,
         .pad_height = 1,
         .pad_width = 1,
         .dilation_height = 2,
         .groups = 3});
    add({.height = 3,
         .width = 4,
         .channels = 2 * 4,
         .filters = 2 * group_filters,
         .kernel_height = 1,
         .kernel_width = 1,
         .groups = 2});
  }
  add({.height = 6,
       .width = 5,
       .channels = 8,
       .filters = 8,
       .kernel_height = 3,
       .kernel_width = 3,
       .pad_height = 1,
       .pad_width = 1,
       .groups = 8});
  // Small groups with several filters each, and strides.
  add({.batch = 3,
       .height = 9,
       .width = 8,
       .channels = 12,
       .filters = 18,
       .kernel_height = 3,
       .kernel_width = 2,
       .stride_height = 2,
       .stride_width = 3,
       .pad_height = 2,
       .pad_width = 1,
       .dilation_height = 2,
       .groups = 6});
  add({.batch = 40,
       .height = 5,
       .width = 6,
       .channels = 33,
       .filters = 33,
       .kernel_height = 3,
       .kernel_width = 3,
       .pad_height = 1,
       .pad_width = 1,
       .groups = 33});
  add({.height = 4,
       .width = 11,
       .channels = 20,
       .filters = 9,
       .kernel_height = 1,
       .kernel_width = 5,
       .stride_height = 2,
       .stride_width = 3,
       .pad_height = 0,
       .pad_width = 2,
       .dilation_width = 2});
  add({.height = 11,
       .width = 3,
       .channels = 64,
       .filters = 33,
       .kernel_height = 4,
       .kernel_width = 2,
       .pad_height = 3,
       .pad_width = 0,
       .dilation_height = 3});
  for (int i = 0; i < 2; ++i) {
    add({.height = 2,
         .width = 1,
         .channels = i == 0 ? 64 : 5,
         .filters = 6,
         .kernel_height = 2,
         .kernel_width = 2,
         .pad_height = 3,
         .pad_width = 4});
    add({.height = 2,
         .width = 1,
         .channels = i == 0 ? 5 : 64,
         .filters = 6,
         .kernel_height = 5,
         .kernel_width = 3,
         .pad_height = 2,
         .pad_width = 1});
  }
  // Several chunks, with borders of zeros and without.
  for (int i = 0; i < 4; ++i) {
    add({.batch = 25,
         .height = 6,
         .width = 5,
         .channels = 36,
         .filters = i < 2 ? 64 : 10,
         .kernel_height = 2,
         .kernel_width = 3,
         .pad_height = i % 2,
         .pad_width = 0});
  }
  add({.batch = 2,
       .height = 24,
       .width = 25,
       .channels = 8,
       .filters = 3,
       .kernel_height = 3,
       .kernel_width = 3,
       .stride_width = 2,
       .pad_height = 1,
       .pad_width = 1});
  all.back().padding = Padding::kZero;
  return all;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_CUDA_CONV_TESTING_H_
