// What the loops of spline.cc, which are compiled for each instruction set, work on.

#ifndef BITGRAD_OPS_CPU_SPLINE_TILE_H_
#define BITGRAD_OPS_CPU_SPLINE_TILE_H_

#include <cstdint>

namespace bitgrad::cpu {

// Some rows and columns of a contiguous matrix [rows, channels], or all of some rows joined: `repeats` runs of `count`
// elements, `stride` apart, with channel * knots of each element of a run.
struct SplineTile {
  const int32_t* offsets;
  int64_t count, repeats, stride;
};

struct SplineConstants {
  float inverse_step, middle, last_interval;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SPLINE_TILE_H_
