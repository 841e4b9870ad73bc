// The fractional bits of a net of integers and shifts, by joint search (arXiv 1901.02064; message Requantize of
// proto/packed_model.proto has the arithmetic).
//
// A number r is r_int = clamp(round(r 2^N), -2^(n - 1), 2^(n - 1) - 1), r ~ r_int 2^-N, with one N for a tensor; N may
// be negative. What is not negative, after a ReLU, is 0 .. 2^n - 1 instead. Numbers of the float net are rounded half
// to even; what shifts drop is rounded half up.
//
// Modules are searched in the order of the dataflow. Each starts from the largest N that clips nothing,
//
//   N_max = n - 1 - ceil(log2 max|r|)        (n - ceil(log2 max|r|) where there is no sign)
//
// and tries N_max .. N_max + kSearchWindow for weights, bias and output together. What counts is ||O - O_hat||_2, with
// O the float net's value of the calibration images and O_hat what the integers give, whose input is the output of the
// modules before as they have been quantized. The first of equals is kept, so the result is never worse than N_max for
// all three, which is the usual heuristic.
//
// Weights and activations have `bits` bits. Biases, of which there is one for an output, and the net's input, which is
// pixels, have 8 at all widths.

#ifndef BITGRAD_EXPORT_JOINT_SEARCH_H_
#define BITGRAD_EXPORT_JOINT_SEARCH_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/export/module_format.h"
#include "bitgrad/export/unify_modules.h"

namespace bitgrad {

inline constexpr int kSearchWindow = 2;

// inputs: [images, features], as the net's Forward() takes them. InvalidArgument where a module's values are not
// finite, or where no shifts are short enough. REQUIRES: at least one image; the modules are those of UnifyModules();
// bits from kLeastQuantizedBits to kMostQuantizedBits; the context is on the CPU.
absl::StatusOr<std::vector<ModuleFormat>> SearchFormats(ExecContext& context, const std::vector<UnifiedModule>& modules,
                                                        ConstMatrixView<float> inputs, int bits);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_JOINT_SEARCH_H_
