// XNOR-Net's binary weights: the sign of w, with the mean magnitude of each output as its scale.
//
//   q(w) = mean|w| sign(w),    the mean over the weights of an output
//   dw = dq mean|w| + (sum dq sign(w)) sign(w) / n,    n weights per output, sign(0) = +1
//
// The second term is the gradient that arrives through the mean. "xnor" is the short name of
// "sign(scale=mean, per_output)".
//
// Source: Rastegari et al., "XNOR-Net", arXiv 1603.05279, section 3.1.

#ifndef BITGRAD_OPS_QUANTIZERS_XNOR_H_
#define BITGRAD_OPS_QUANTIZERS_XNOR_H_

#include "bitgrad/ops/quantizers/sign.h"

namespace bitgrad {

struct XnorQuantizer : SignQuantizer {
  static constexpr char kName[] = "xnor";
  static constexpr char kHelp[] =
      "mean|w| sign(w) with a mean for each output, through which the gradient goes, too; short for "
      "sign(scale=mean, per_output); for weights (XNOR-Net, arXiv 1603.05279)";
  static constexpr bool kScalable = false;  // it has its scale
  static constexpr bool kDifferentiatesStatistic = true;
  static constexpr Granularity kGranularity = Granularity::kRow;
  static Statistic StatisticOf(const QuantizerArgs&) { return Statistic::kMeanAbs; }
  static ScaleOperand ScaleOperandOf(const QuantizerArgs&) { return ScaleOperand::kStatistic; }
};

Quantizer Xnor();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_XNOR_H_
