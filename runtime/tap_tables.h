// TapTables: convolutions of one tap per kernel (runtime/tap_convolution.h) on processors that pick 16 floats out of 16
// with one instruction (AVX-512), for kernels of up to 4x4, prepared once.
//
// How it runs: a square of 4x4 pixels of one channel, which is all that four outputs of a 3x3 kernel read (two rows of
// two), is a table of 16 floats. For 16 filters at a time the pixels of their taps are then one permutation of that
// table, and one multiply-accumulate: no filter's taps cost a load of their own. Sums of 16 filters at the outputs of
// some tables stay in registers while all channels go by.
//
// Tables are made in two steps. Four pixels next to each other, a window, are transposed, so that the four of a channel
// are 16 bytes. A table is four windows, one below the other, each of which is loaded into its quarter of the register:
// a window serves the tables of two rows, and no shuffle is spent on them. The image is worked on in columns of four
// tables, from top to bottom, so that windows and tables stay in the first-level cache where channels are few
// (docs/performance.md).

#ifndef BITGRAD_RUNTIME_TAP_TABLES_H_
#define BITGRAD_RUNTIME_TAP_TABLES_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad {

class TapTables {
 public:
  // Whether the kernels are small enough, and this machine's instructions are those that this is for.
  static bool AreFor(const ConvGeometry& geometry);

  // As TapConvolution's, which is what others use. REQUIRES: AreFor(geometry).
  TapTables(const ConvGeometry& geometry, const float* w, const uint8_t* taps);
  void Run(ExecContext& context, int64_t batch, const float* x, float* y) const;

 private:
  // Computes the outputs of some rows of the tables next to each other from first_table on, with memory for windows and
  // tables.
  void RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, int64_t first_table, float* memory) const;

  const ConvGeometry geometry_;
  int64_t outputs_down_, outputs_across_;  // of a table
  int64_t tables_down_, tables_across_;    // of an image
  int64_t block_rows_;                     // rows of tables that are worked on at a time
  int64_t channels_;                       // rounded up to a multiple of 16
  std::vector<float> zeros_;               // the channels of a pixel outside of the image
  // For 16 filters at a time, of each channel: the places of their taps in the table for its first output, as int32,
  // and their weights.
  std::vector<float> terms_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_TAP_TABLES_H_
