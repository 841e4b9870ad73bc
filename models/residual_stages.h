// What residual nets have in common (bireal_net.h, residual_net.h), whatever their blocks are made of:
//
//   stem     Conv2d -> norm [-> what the net adds] [-> MaxPool 3x3]
//   stages   blocks; the first of each may have a stride and another number of channels than its input
//   head     global average pool -> Dense with bias
//
// Options are those of the net: they have the fields image, stem_filters, stem_kernel, stem_stride, stem_pool, stages,
// classes and norm. Parameters are named stem/conv/.., stem/norm/.., stage1/block1/.., output/...

#ifndef BITGRAD_MODELS_RESIDUAL_STAGES_H_
#define BITGRAD_MODELS_RESIDUAL_STAGES_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/models/scope.h"

namespace bitgrad {

struct ResidualStage {
  int64_t filters = 0;
  int64_t blocks = 0;
  int64_t stride = 1;  // of the first block
};

// What a stage makes of its input.
struct ResidualBlock {
  int64_t in = 0;
  int64_t out = 0;
  int64_t stride = 1;
  // Whether the block's input cannot be added to its output as it is.
  bool changes_shape() const { return stride > 1 || in != out; }
};

// Calls between(scope of the stem) behind the norm. `net` is what an error calls the network. Returns whether the image
// has three dimensions; otherwise there is an error, and nothing was added.
template <typename Options, typename Between>
bool AddResidualStem(const Scope& scope, const char* net, const Options& options, Sequential& layers,
                     const Between& between) {
  if (options.image.rank() != 3) {
    scope.ReportError(absl::StrCat(net, ": image ", options.image.ToString(), " is not [height, width, channels]"));
    return false;
  }
  const Scope stem = scope / "stem";
  layers.Add<Unflatten>(options.image);
  layers.Add<Conv2d>(stem / "conv", Conv2dOptions{.in = options.image.dim(2),
                                                  .out = options.stem_filters,
                                                  .kernel = options.stem_kernel,
                                                  .stride = options.stem_stride,
                                                  .pad = options.stem_kernel / 2});
  layers.Add<BatchNorm2d>(stem / "norm", BatchNormLayerOptions{.features = options.stem_filters, .norm = options.norm});
  between(stem);
  if (options.stem_pool > 0) {
    layers.Add<MaxPool2d>(stem / "pool", PoolOptions{.kernel = 3, .stride = options.stem_pool, .pad = 1});
  }
  return true;
}

// Calls add(scope of the block, block) for all blocks, in order, then adds the head.
template <typename Options, typename AddBlock>
void AddResidualStages(const Scope& scope, const Options& options, Sequential& layers, const AddBlock& add) {
  int64_t channels = options.stem_filters;
  for (size_t s = 0; s < options.stages.size(); ++s) {
    const ResidualStage& stage = options.stages[s];
    for (int64_t b = 0; b < stage.blocks; ++b) {
      add(scope / absl::StrCat("stage", s + 1) / absl::StrCat("block", b + 1),
          ResidualBlock{.in = channels, .out = stage.filters, .stride = b == 0 ? stage.stride : 1});
      channels = stage.filters;
    }
  }
  const Scope output = scope / "output";
  layers.Add<GlobalAvgPool2d>(output / "pool");
  layers.Add<Dense>(output, DenseOptions{.in = channels, .out = options.classes, .bias = true});
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RESIDUAL_STAGES_H_
