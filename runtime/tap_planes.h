// TapPlanes: convolutions of one tap per kernel (runtime/tap_convolution.h) with kernels, or on processors, that tables
// in registers (runtime/tap_tables.h) are not for, prepared once.
//
// How it runs: an image's channels become planes with the border around them, one for each column of the kernel, moved
// by it, and for each remainder of rows divided by the stride. So a tap is an offset of whole rows in a plane, rows are
// aligned where the image's width allows it, and outputs read pixels next to each other. Sums of some hundred pixels of
// one filter stay in registers while a block of channels goes by: for each, one weight is broadcast and multiplied with
// as many pixels. Rows of the image are worked on in blocks whose planes fit the second-level cache, channels in blocks
// whose pixels fit the first-level one (docs/performance.md).

#ifndef BITGRAD_RUNTIME_TAP_PLANES_H_
#define BITGRAD_RUNTIME_TAP_PLANES_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

// A kernel that is not zero: it adds `weight` times the pixel at `offset` from the output's place in the planes.
struct TapTerm {
  float weight;
  int32_t offset;
};

class TapPlanes {
 public:
  // As TapConvolution's, which is what others use.
  TapPlanes(const ConvGeometry& geometry, const float* w, const uint8_t* taps);

  void Run(ExecContext& context, int64_t batch, const float* x, float* y) const;

 private:
  // Of the planes of a block of output rows.
  struct Block {
    int64_t rows = 0;        // output rows
    int64_t plane_rows = 0;  // of a plane
  };
  void RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, float* planes, float* sums) const;

  const ConvGeometry geometry_;
  int64_t phase_rows_;  // how many remainders of rows there are
  int64_t plane_width_;
  int64_t reach_rows_;  // how many rows of a plane below its own an output reads
  Block block_;
  int64_t plane_size_;
  int64_t plane_floats_;  // of a thread's planes
  int64_t sum_stride_;    // of its sums, from one filter to the next
  int64_t channel_blocks_;
  // By groups of 64 filters, in them by blocks of channels, in them by filters; and where each of these begins.
  std::vector<TapTerm> terms_;
  std::vector<int64_t> first_term_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_TAP_PLANES_H_
