// BorderSums: for convolutions, the sums over those filter taps that lie outside of the image where a patch overlaps
// its border. They correct the sums of products in which the border was padded with another code
// (ops/kernels/conv2d.h).
//
// Which taps lie outside depends on the output row and the output column, and there are few cases for each: with a 3 x
// 3 kernel and a border of one, a row is the first one, the last one, or one of those between. So output pixels fall
// into few classes (at most nine, in the example), and the sums are computed once per class and filter.

#ifndef BITGRAD_OPS_CPU_BORDER_SUMS_H_
#define BITGRAD_OPS_CPU_BORDER_SUMS_H_

#include <cstdint>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/cpu/conv_axis.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::cpu {

// The classes of the output positions along one axis, in their order: adjacent positions with the same taps inside the
// image form one class.
class AxisClasses {
 public:
  AxisClasses(ExecContext& context, const ConvAxis& axis);

  int64_t count() const { return count_; }
  // The class of position i.
  int32_t of(int64_t i) const { return class_of_.data()[i]; }
  // The taps inside the image at the positions of class c.
  const TapRange& inside(int64_t c) const { return inside_.data()[c]; }

 private:
  int64_t count_ = 0;
  Scratch<int32_t> class_of_;
  Scratch<TapRange> inside_;
};

class BorderSums {
 public:
  // Sums of the filters w [O, R*S*C/G]. In each group they are padded to a multiple of 64 filters.
  BorderSums(ExecContext& context, const ConvGeometry& geometry, const ConstPlanesView& w);

  // classes[pixel - begin] = the class of output pixel `pixel`, for the pixels [begin, end); kInside where no tap is
  // outside.
  static constexpr int32_t kInside = -1;
  void Classify(int64_t begin, int64_t end, int32_t* classes) const;

  int64_t classes() const { return rows_.count() * cols_.count(); }
  // The number of terms of a sum that lie outside, in class c.
  int32_t terms(int64_t c) const { return terms_.data()[c]; }
  // sums(c, group)[o] = the sum over those terms of what filter o of the group stores there (core/encoding.h), or of
  // its codes where they are logarithmic.
  int32_t* sums(int64_t c, int64_t group) { return sums_.data() + c * class_stride_ + group * group_stride_; }
  const int32_t* sums(int64_t c, int64_t group) const {
    return sums_.data() + c * class_stride_ + group * group_stride_;
  }
  // The distance from the sums of one class to those of the next.
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
