// Geometries that the tests of convolutions of few bits share.

#ifndef BITGRAD_TESTS_OPS_KERNELS_CONV_GEOMETRIES_H_
#define BITGRAD_TESTS_OPS_KERNELS_CONV_GEOMETRIES_H_

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

// Every kernel with every stride and several borders; channels, filters and paddings take turns. Then special cases:
// dilation, groups, unequal axes, borders wider than the image, many small images. Without those of more than
// `most_macs`.
inline std::vector<ConvGeometry> ConvGeometries(int64_t most_macs) {
  constexpr int64_t kChannels[] = {1, 3, 31, 32, 33, 64, 65, 128, 257};
  constexpr int64_t kFilters[] = {1, 7, 64, 65, 100};
  constexpr Padding kPaddings[] = {Padding::kZero, Padding::kPlusOne, Padding::kZero, Padding::kMinusOne};
  std::vector<ConvGeometry> all;
  int turn = 0;

  const auto add = [&](ConvGeometry g) {
    if (g.channels == 0) g.channels = kChannels[turn % 9];
    if (g.filters == 0) g.filters = kFilters[turn % 5];
    g.batch = g.batch == 0 ? 1 + turn % 3 : g.batch;
    g.padding = kPaddings[turn % 4];
    ++turn;
    if (g.macs() <= most_macs) all.push_back(g);
  };
  for (const int64_t kernel : {1, 3, 5, 7, 11}) {
    for (const int64_t stride : {1, 2, 4}) {
      for (int64_t pad = 0; pad <= kernel / 2; pad += kernel < 7 ? 1 : kernel / 2) {
        add({.height = kernel + 2,
             .width = kernel + 5,
             .kernel_height = kernel,
             .kernel_width = kernel,
             .stride_height = stride,
             .stride_width = stride,
             .pad_height = pad,
             .pad_width = pad});
      }
    }
  }
  // Channels that are whole words, with every padding.
  for (int i = 0; i < 8; ++i) {
    add({.height = 7,
         .width = 6,
         .channels = 64 + i % 2 * 64,
         .filters = i < 4 ? 64 : 130,
         .kernel_height = 3,
         .kernel_width = 3,
         .stride_height = 1 + i % 3,
         .stride_width = 1,
         .pad_height = 1,
         .pad_width = 1});
  }
  // Numbers of channels around words, vectors and aligned rows, with more than one pixel away from the border.
  for (const int64_t channels : {1, 3, 4, 16, 31, 32, 33, 64, 65, 130}) {
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
  // Dilation.
  for (const int64_t channels : {3, 64, 65, 40, 128}) {
    add({.height = 9,
         .width = 8,
         .channels = channels,
         .kernel_height = 3,
         .kernel_width = 3,
         .pad_height = 2,
         .pad_width = 2,
         .dilation_height = 2,
         .dilation_width = 2});
  }
  // Groups whose filters are whole words, are not, and are single ones.
  for (const int64_t group_filters : {1, 5, 32, 64, 70}) {
    add({.height = 5,
         .width = 6,
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
  // Small groups with several filters each, and strides; and a filter for each channel.
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
  add({.height = 6,
       .width = 5,
       .channels = 8,
       .filters = 8,
       .kernel_height = 3,
       .kernel_width = 3,
       .pad_height = 1,
       .pad_width = 1,
       .groups = 8});
  // Height and width differ in everything.
  add({.height = 4,
       .width = 15,
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
  // A border wider than the kernel, so that some patches have no pixel; and a kernel larger than the image.
  for (int i = 0; i < 4; ++i) {
    add({.height = 2,
         .width = 1,
         .channels = i < 2 ? 64 : 5,
         .filters = 6,
         .kernel_height = 2,
         .kernel_width = 2,
         .pad_height = 3,
         .pad_width = 4});
    add({.height = 2,
         .width = 1,
         .channels = i < 2 ? 5 : 64,
         .filters = 6,
         .kernel_height = 5,
         .kernel_width = 3,
         .pad_height = 2,
         .pad_width = 1});
  }
  // Several chunks of a GPU.
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
  // Many small images; and images of several chunks for two threads, whose pixels share words of the output.
  for (int i = 0; i < 4; ++i) {
    add({.batch = 50,
         .height = 2,
         .width = 2,
         .channels = 64,
         .filters = i < 2 ? 64 : 10,
         .kernel_height = 2,
         .kernel_width = 2,
         .pad_height = i % 2,
         .pad_width = 0});
    add({.batch = 1,
         .height = 41,
         .width = 40,
         .channels = 32,
         .filters = i < 2 ? 100 : 64,
         .kernel_height = 3,
         .kernel_width = 3,
         .pad_height = 1,
         .pad_width = i % 2});
  }
  add({.batch = 301,
       .height = 2,
       .width = 2,
       .channels = 256,
       .filters = 20,
       .kernel_height = 2,
       .kernel_width = 2,
       .pad_height = 1,
       .pad_width = 1});
  add({.batch = 2,
       .height = 16,
       .width = 17,
       .channels = 256,
       .filters = 130,
       .kernel_height = 3,
       .kernel_width = 3,
       .pad_height = 1,
       .pad_width = 1});
  return all;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_KERNELS_CONV_GEOMETRIES_H_
