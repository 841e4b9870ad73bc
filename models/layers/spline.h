// SplineLayer: a linear spline of each channel, which training changes (ops/spline.h). [.., channels] -> the same.
//
//   spline(21, 1)                      21 knots in [-1, 1], from a leaky ReLU of slope 0.01
//   spline(21, 1, relu)                from ReLU;  spline(21, 1, even_odd): half of the channels from |x|, the others
//                                      from the soft threshold x - clip(x, -0.5, 0.5), an even and an odd function
//   spline(21, 1, linear)              with an explicit linear term b0 + b1 x, which begins at 0
//   spline(21, 1, threshold=0.01)      evaluation is without the knots whose slope |a_k| is below 0.01
//
// The threshold is the step after training that makes splines sparse (ops/spline_coefficients.h). Evaluation applies it
// to the coefficients that training has left, which themselves stay. So validation chooses among sparse nets, a frozen
// net has sparse coefficients, and another threshold needs no further training.
//
// Parameters: spline/coefficients [channels, knots]; of the linear term spline/constant and spline/slope [channels].
// Optimizers take them for a group of their own (optim/parameter_group.h); they do not decay.

#ifndef BITGRAD_MODELS_LAYERS_SPLINE_H_
#define BITGRAD_MODELS_LAYERS_SPLINE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/kernels/spline_grid.h"

namespace bitgrad {

// The last scope in the names of what splines learn.
inline constexpr char kSplineScope[] = "spline";

enum class SplineInit { kLeakyRelu, kRelu, kEvenOdd };

struct SplineLayerOptions {
  SplineGrid grid;
  SplineInit init = SplineInit::kLeakyRelu;
  bool linear = false;  // the explicit linear term
  float threshold = 0;
};

// Reads what stands in the brackets. InvalidArgument, saying what it has to be, otherwise.
absl::StatusOr<SplineLayerOptions> ParseSplineOptions(absl::string_view arguments);

class SplineLayer final : public Layer {
 public:
  SplineLayer(const Scope& scope, int64_t channels, const SplineLayerOptions& options);
  Var operator()(const Var& x) override;

 private:
  std::string path_;
  SplineLayerOptions options_;
  Parameter& coefficients_;
  Parameter* constant_ = nullptr;
  Parameter* slope_ = nullptr;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_SPLINE_H_
