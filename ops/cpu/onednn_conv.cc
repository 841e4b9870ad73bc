// Images stay NHWC. With AVX-512, oneDNN's kernels for NHWC were faster than its own layout with the reorders that it
// needs, except for the gradient of inputs with 128 and 512 channels (there a twentieth and a fifth slower). Filters
// are small and are reordered to whatever layout oneDNN asks for.

#include "bitgrad/ops/cpu/onednn_conv.h"

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/onednn.h"
#include "bitgrad/ops/cpu/segments.h"

namespace bitgrad::cpu {
namespace {

using dnnl::memory;

memory::desc ImageDesc(int64_t batch, int64_t channels, int64_t height, int64_t width) {
  return memory::desc({batch, channels, height, width}, memory::data_type::f32, memory::format_tag::nhwc);
}

// The dimensions of filters in oneDNN's order, [groups,] filters, channels, height, width, and the strides that OHWI
// has for them.
void FilterLayout(const ConvGeometry& g, memory::dims* dims, memory::dims* strides) {
  const int64_t column = g.group_channels(), row = g.kernel_width * column, filter = g.kernel_height * row;
  *dims = {g.group_filters(), g.group_channels(), g.kernel_height, g.kernel_width};
  *strides = {filter, 1, row, column};
  if (g.groups == 1) return;
  dims->insert(dims->begin(), g.groups);
  strides->insert(strides->begin(), g.group_filters() * filter);
}

// Whether oneDNN would write past the end of its scratchpad. The gradient of 1x1 filters with a stride is computed by
// the kernels jit_1x1 of oneDNN 2.6 (Debian 12's), which first copy the pixels that the filters touch into the
// scratchpad: whole vectors of 8 or 16 channels for each pixel, although the scratchpad has room only for the channels
// that there are. With fewer channels than a vector has lanes, a thread therefore writes into the next thread's part,
// which makes the sums wrong, and the last one past the end. With 16 channels or more, in groups and with a border
// tests/ops/cpu/onednn_guard_test.cc has found nothing wrong; they are computed as ever.
bool OverrunsScratchpad(ConvPass pass, const ConvGeometry& g) {
  constexpr int64_t kMostLanes = 16;
  return pass == ConvPass::kBackwardWeight && g.kernel_height == 1 && g.kernel_width == 1 && !g.has_border() &&
         (g.stride_height > 1 || g.stride_width > 1) && g.groups == 1 && g.channels < kMostLanes;
}

// The convolution with stride 1 whose image consists of the pixels that the 1x1 filters of `g` touch. It has the same
// gradient with respect to the filters, for which oneDNN copies nothing.
ConvGeometry OfGatheredPixels(const ConvGeometry& g) {
  ConvGeometry gathered = g;
  gathered.height = g.out_height();
  gathered.width = g.out_width();
  gathered.stride_height = gathered.stride_width = 1;
  return gathered;
}

// pixels[n, p, q] = x[n, p sh, q sw].
void GatherPixels(int threads, const ConvGeometry& g, const float* x, float* pixels) {
  const int64_t height = g.out_height(), width = g.out_width(), line = width * g.channels;
  ParallelFor(threads, g.batch * height, RowGrain(line), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* const row = x + (i / height * g.height + i % height * g.stride_height) * g.width * g.channels;
      for (int64_t q = 0; q < width; ++q) {
        std::copy_n(row + q * g.stride_width * g.channels, g.channels, pixels + i * line + q * g.channels);
      }
    }
  });
}

}  // namespace

OneDnnConv::OneDnnConv(ConvPass pass, const ConvGeometry& geometry)
    : pass_(pass),
      gathers_(OverrunsScratchpad(pass, geometry)),
      whole_(geometry),
      computed_(gathers_ ? OfGatheredPixels(geometry) : geometry) {
  const ConvGeometry& g = computed_;
  const dnnl::engine& engine = OneDnnEngine();
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);  // overrides the environment: sums of integers must be exact

  memory::dims w_dims, w_strides;
  FilterLayout(g, &w_dims, &w_strides);
  x_ = ImageDesc(g.batch, g.channels, g.height, g.width);
  y_ = ImageDesc(g.batch, g.filters, g.out_height(), g.out_width());
  w_ = memory::desc(w_dims, memory::data_type::f32, w_strides);
  const memory::desc any_w(w_dims, memory::data_type::f32, memory::format_tag::any);

  constexpr dnnl::algorithm kDirect = dnnl::algorithm::convolution_direct;
  const memory::dims strides = {g.stride_height, g.stride_width};
  const memory::dims dilation = {g.dilation_height - 1, g.dilation_width - 1};
  const memory::dims pad = {g.pad_height, g.pad_width};
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kDirect, x_, any_w, y_, strides, dilation, pad, pad}, attributes, engine);
  const auto use = [this](const auto& primitive_desc, const memory::desc& inner_w) {
    convolution_ = dnnl::primitive(primitive_desc);
    scratchpad_ = primitive_desc.scratchpad_desc();
    inner_w_ = inner_w;
  };
  switch (pass) {
    case ConvPass::kForward: use(forward, forward.weights_desc()); break;
    case ConvPass::kBackwardInput: {
      const dnnl::convolution_backward_data::primitive_desc backward(
          {kDirect, x_, any_w, y_, strides, dilation, pad, pad}, attributes, engine, forward);
      use(backward, backward.weights_desc());
      break;
    }
    case ConvPass::kBackwardWeight: {
      const dnnl::convolution_backward_weights::primitive_desc backward(
          {kDirect, x_, any_w, y_, strides, dilation, pad, pad}, attributes, engine, forward);
      use(backward, backward.diff_weights_desc());
      break;
    }
  }
  if (inner_w_ != w_) {
    const bool back = pass == ConvPass::kBackwardWeight;
    const dnnl::reorder::primitive_desc reorder(engine, back ? inner_w_ : w_, engine, back ? w_ : inner_w_, attributes);
    reorder_ = dnnl::reorder(reorder);
    reorder_scratchpad_ = reorder.scratchpad_desc();
  }
}

OneDnnConv::WorkspaceBytes OneDnnConv::workspace_bytes() const {
  return {.scratchpad = scratchpad_.get_size(),
          .reorder_scratchpad = reorder_scratchpad_.get_size(),
          .filters = inner_w_ != w_ ? inner_w_.get_size() : 0,
          .pixels = gathers_ ? x_.get_size() : 0};
}

void OneDnnConv::Execute(int threads, const float* x, const float* w, const float* y,
                         const Workspace& workspace) const {
  if (gathers_) {
    float* const pixels = static_cast<float*>(workspace.pixels);
    GatherPixels(threads, whole_, x, pixels);
    x = pixels;
  }
  const dnnl::engine& engine = OneDnnEngine();
  const auto at = [&engine](const memory::desc& desc, const void* data) {
    return memory(desc, engine, const_cast<void*>(data));
  };
  const bool reorders = inner_w_ != w_;
  const memory filters = at(w_, w);
  const memory inner_filters = reorders ? at(inner_w_, workspace.filters) : filters;
  dnnl::stream stream(engine);
  const auto reorder = [&](const memory& from, const memory& to) {
    reorder_.execute(stream, {{DNNL_ARG_FROM, from},
                              {DNNL_ARG_TO, to},
                              {DNNL_ARG_SCRATCHPAD, at(reorder_scratchpad_, workspace.reorder_scratchpad)}});
  };
  if (reorders && pass_ != ConvPass::kBackwardWeight) reorder(filters, inner_filters);
  convolution_.execute(stream,
                       {{pass_ == ConvPass::kBackwardInput ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, at(x_, x)},
                        {pass_ == ConvPass::kBackwardWeight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, inner_filters},
                        {pass_ == ConvPass::kForward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, at(y_, y)},
                        {DNNL_ARG_SCRATCHPAD, at(scratchpad_, workspace.scratchpad)}});
  if (reorders && pass_ == ConvPass::kBackwardWeight) reorder(inner_filters, filters);
  stream.wait();
}

}  // namespace bitgrad::cpu
