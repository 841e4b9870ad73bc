// Float convolutions, by oneDNN.

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/onednn.h"
#include "bitgrad/ops/cpu/onednn_conv.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::cpu {
namespace {

// The primitives for a pass, a geometry and a number of threads (oneDNN plans for the latter too). Making them takes up
// to a few milliseconds, so each thread keeps what it has made until it ends. It keeps at most kKept, several times as
// many as a net has geometries; beyond that it drops all of them and starts anew. The reference is valid until the next
// call. May throw dnnl::error.
const OneDnnConv& ConvFor(ConvPass pass, const ConvGeometry& g, int threads) {
  constexpr size_t kKept = 256;
  using Key = std::array<int64_t, 16>;
  thread_local absl::flat_hash_map<Key, std::unique_ptr<const OneDnnConv>> kept;
  const Key key = {static_cast<int64_t>(pass),
                   threads,
                   g.batch,
                   g.height,
                   g.width,
                   g.channels,
                   g.filters,
                   g.kernel_height,
                   g.kernel_width,
                   g.stride_height,
                   g.stride_width,
                   g.pad_height,
                   g.pad_width,
                   g.dilation_height,
                   g.dilation_width,
                   g.groups};
  if (const auto it = kept.find(key); it != kept.end()) return *it->second;
  auto conv = std::make_unique<const OneDnnConv>(pass, g);
  if (kept.size() >= kKept) kept.clear();
  return *(kept[key] = std::move(conv));
}

void Run(ExecContext& context, const char* kernel, ConvPass pass, const ConvGeometry& g, const float* x, const float* w,
         const float* y) {
  BITGRAD_DCHECK(g.padding == Padding::kZero || (g.pad_height == 0 && g.pad_width == 0));
  BITGRAD_DCHECK(g.batch > 0 && g.filters > 0 && g.patch_size() > 0 && g.out_height() > 0 && g.out_width() > 0);
  const OmpThreads threads(context.threads());
  try {
    const OneDnnConv& conv = ConvFor(pass, g, context.threads());
    const OneDnnConv::WorkspaceBytes bytes = conv.workspace_bytes();
    const Scratch<uint8_t> scratchpad(context, bytes.scratchpad);
    const Scratch<uint8_t> reorder_scratchpad(context, bytes.reorder_scratchpad);
    const Scratch<uint8_t> filters(context, bytes.filters);
    const Scratch<uint8_t> pixels(context, bytes.pixels);
    conv.Execute(context.threads(), x, w, y,
                 {.scratchpad = scratchpad.data(),
                  .reorder_scratchpad = reorder_scratchpad.data(),
                  .filters = filters.data(),
                  .pixels = pixels.data()});
  } catch (const dnnl::error& error) {
    context.ReportError(absl::InternalError(
        absl::StrCat(kernel, ": oneDNN failed with status ", static_cast<int>(error.status), " for images [", g.batch,
                     ", ", g.height, ", ", g.width, ", ", g.channels, "] and filters [", g.filters, ", ",
                     g.kernel_height, ", ", g.kernel_width, ", ", g.group_channels(), "]")));
  }
}

}  // namespace

void Conv2dF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* w, float* y) {
  Run(context, "conv2d_f32", ConvPass::kForward, geometry, x, w, y);
}

void Conv2dBackwardInputF32(ExecContext& context, const ConvGeometry& geometry, const float* dy, const float* w,
                            float* dx) {
  Run(context, "conv2d_backward_input_f32", ConvPass::kBackwardInput, geometry, dx, w, dy);
}

void Conv2dBackwardWeightF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* dy,
                             float* dw) {
  Run(context, "conv2d_backward_weight_f32", ConvPass::kBackwardWeight, geometry, x, dw, dy);
}

}  // namespace bitgrad::cpu
