// TapTables: convolutions of one tap per kernel (runtime/tap_convolution.h) on processors that pick 16 floats out of 16
// with one instruction (AVX-512), prepared once.
//
// How it runs: all pixels of one channel that a few outputs next to each other can read, 3 rows of 5 for three outputs
// of a 3x3 kernel, are a table of 16 floats. For 16 filters at a time the pixels of their taps are then one permutation
// of that table, and one multiply-accumulate: no filter's taps cost a load of their own. Sums of some filters at some
// outputs stay in registers while all channels go by. Tables are made for a block of rows that fits the second-level
// cache, by transposing 16 pixels x 16 channels (docs/performance.md).

#ifndef BITGRAD_RUNTIME_TAP_TABLES_H_
#define BITGRAD_RUNTIME_TAP_TABLES_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

class TapTables {
 public:
  // Whether this machine's instructions are those that this is for.
  static bool AreFast();

  // As TapConvolution's, which is what others use.
  TapTables(const ConvGeometry& geometry, const float* w, const uint8_t* taps);
  void Run(ExecContext& context, int64_t batch, const float* x, float* y) const;

 private:
  // Of output rows first_row .. first_row + rows - 1 of an image.
  void MakeTables(const float* x, int64_t first_row, int64_t rows, float* tables) const;
  void RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, float* tables) const;

  const ConvGeometry geometry_;
  int64_t outputs_;           // next to each other that read one table
  int64_t columns_;           // of pixels in a table; it has as many rows as the kernel
  int64_t tables_per_row_;    // of outputs
  int64_t table_stride_;      // from one place's tables, one for each channel, to the next one's
  int64_t block_rows_;        // output rows whose tables fit the cache
  std::vector<float> zeros_;  // the channels of a pixel outside of the image
  // For 16 filters at a time, of each channel: the places of their taps in the table of the first output, as int32, and
  // their weights.
  std::vector<float> terms_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_TAP_TABLES_H_
