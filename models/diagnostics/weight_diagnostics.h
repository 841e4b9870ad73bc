// What the weights of a model look like: histograms of their latent values, and the first layer's filters as pictures.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_WEIGHT_DIAGNOSTICS_H_
#define BITGRAD_MODELS_DIAGNOSTICS_WEIGHT_DIAGNOSTICS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

// A histogram of the finite values, over [low, high]; values beyond count in the outermost bins. REQUIRES: low < high,
// bins > 0.
diagnostics::Histogram HistogramOf(absl::Span<const float> values, double low, double high, int bins);

// Sets the histogram of each weight, of 40 bins: between the bounds that the optimizer clips to, or else over
// [-m, m], m = max |w|.
void DescribeWeights(ExecContext& context, absl::Span<Parameter* const> parameters, diagnostics::Epoch& epoch);

// The filters of the first weight, at most 64 of them, each stretched to the full range of grey: the darkest is -m, the
// brightest m, m the filter's max |w|. Empty where the first weight is not one that reads images: neither
// [outputs, height * width * channels] of them nor [filters, h, w, channels], with 1 or 3 channels.
std::vector<diagnostics::Picture> FirstFilters(ExecContext& context, absl::Span<Parameter* const> parameters,
                                               int64_t height, int64_t width, int64_t channels);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_WEIGHT_DIAGNOSTICS_H_
