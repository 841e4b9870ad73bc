// What of the filters lies outside of the image, where patches overlap its border.
//
// Which taps lie outside depends on the output row and the output column, and few things can happen to each: with a 3 x
// 3 kernel and a border of one, a row is the first, the last, or one of those between. So output pixels fall into few
// classes, and the sums over the outside taps are made per class and filter.

#ifndef BITGRAD_OPS_CPU_BORDER_SUMS_H_
#define BITGRAD_OPS_CPU_BORDER_SUMS_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cpu/conv_axis.h"
#include "bitgrad/ops/cpu/scratch.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::cpu {

// The classes of the positions along one axis, in their order: neighbours that have the same taps inside share one.
class AxisClasses {
 public:
  AxisClasses(ExecContext& context, const ConvAxis& axis);

  int64_t count() const { return count_; }
  int32_t of(int64_t i) const { return class_of_.data()[i]; }
  const TapRange& inside(int64_t c) const { return inside_.data()[c]; }

 private:
  int64_t count_ = 0;
  Scratch<int32_t> class_of_;
  Scratch<TapRange> inside_;
};

class BorderSums {
 public:
  // Of filters w [O, R*S*C/G]. Sums are padded, per group, to whole groups of 64 filters.
  BorderSums(ExecContext& context, const ConvGeometry& geometry, const ConstPlanesView& w);

  // classes[pixel - begin] = the class of each output pixel of [begin, end), kInside where no tap is outside.
  static constexpr int32_t kInside = -1;
  void Classify(int64_t begin, int64_t end, int32_t* classes) const;

  int64_t classes() const { return rows_.count() * cols_.count(); }
  // How many terms of a sum lie outside.
  int32_t terms(int64_t c) const { return terms_.data()[c]; }
  // sums[o] = the sum of what w stores (core/encoding.h) for those terms, for the filters o of group `group`.
  int32_t* sums(int64_t c, int64_t group) { return sums_.data() + c * class_stride_ + group * group_stride_; }
  const int32_t* sums(int64_t c, int64_t group) const {
    return sums_.data() + c * class_stride_ + group * group_stride_;
  }
  // From the sums of one class to those of the next.
  int64_t class_stride() const { return class_stride_; }

 private:
  const ConvGeometry& geometry_;
  const int64_t group_stride_;
  const int64_t class_stride_;
  const AxisClasses rows_;
  const AxisClasses cols_;
  Scratch<int32_t> terms_;
  Scratch<int32_t> sums_;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_BORDER_SUMS_H_
