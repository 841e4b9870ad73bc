// Float convolutions by oneDNN. Images stay NHWC. With AVX-512, oneDNN's kernels for NHWC were faster than its own
// layout with the reorders that it needs, except for the gradient of inputs with 128 and 512 channels (there a
// twentieth and a fifth slower). Filters are small and are reordered to whatever layout oneDNN asks for.

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
#include "bitgrad/ops/cpu/scratch.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad::cpu {
namespace {

using dnnl::memory;

enum class Pass : int64_t { kForward, kBackwardInput, kBackwardWeight };

// One of the three passes for one geometry, ready to execute.
struct Plan {
  dnnl::primitive convolution;
  memory::desc x, w, y;
  memory::desc inner_w;     // the layout of w that the convolution asks for
  dnnl::primitive reorder;  // from w to inner_w, in Pass::kBackwardWeight from inner_w to w; null where they are equal
  memory::desc scratchpad, reorder_scratchpad;
};

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

// May throw dnnl::error.
Plan MakePlan(Pass pass, const ConvGeometry& g) {
  const dnnl::engine& engine = OneDnnEngine();
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_fpmath_mode(dnnl::fpmath_mode::strict);  // overrides the environment: sums of integers must be exact

  Plan plan;
  memory::dims w_dims, w_strides;
  FilterLayout(g, &w_dims, &w_strides);
  plan.x = ImageDesc(g.batch, g.channels, g.height, g.width);
  plan.y = ImageDesc(g.batch, g.filters, g.out_height(), g.out_width());
  plan.w = memory::desc(w_dims, memory::data_type::f32, w_strides);
  const memory::desc any_w(w_dims, memory::data_type::f32, memory::format_tag::any);

  constexpr dnnl::algorithm kDirect = dnnl::algorithm::convolution_direct;
  const memory::dims strides = {g.stride_height, g.stride_width};
  const memory::dims dilation = {g.dilation_height - 1, g.dilation_width - 1};
  const memory::dims pad = {g.pad_height, g.pad_width};
  const dnnl::convolution_forward::primitive_desc forward(
      {dnnl::prop_kind::forward_training, kDirect, plan.x, any_w, plan.y, strides, dilation, pad, pad}, attributes,
      engine);
  const auto use = [&plan](const auto& primitive_desc, const memory::desc& inner_w) {
    plan.convolution = dnnl::primitive(primitive_desc);
    plan.scratchpad = primitive_desc.scratchpad_desc();
    plan.inner_w = inner_w;
  };
  switch (pass) {
    case Pass::kForward: use(forward, forward.weights_desc()); break;
    case Pass::kBackwardInput: {
      const dnnl::convolution_backward_data::primitive_desc backward(
          {kDirect, plan.x, any_w, plan.y, strides, dilation, pad, pad}, attributes, engine, forward);
      use(backward, backward.weights_desc());
      break;
    }
    case Pass::kBackwardWeight: {
      const dnnl::convolution_backward_weights::primitive_desc backward(
          {kDirect, plan.x, any_w, plan.y, strides, dilation, pad, pad}, attributes, engine, forward);
      use(backward, backward.diff_weights_desc());
      break;
    }
  }
  if (plan.inner_w != plan.w) {
    const bool back = pass == Pass::kBackwardWeight;
    const dnnl::reorder::primitive_desc reorder(engine, back ? plan.inner_w : plan.w, engine,
                                                back ? plan.w : plan.inner_w, attributes);
    plan.reorder = dnnl::reorder(reorder);
    plan.reorder_scratchpad = reorder.scratchpad_desc();
  }
  return plan;
}

// The plan for a pass, a geometry and a number of threads (oneDNN plans for the latter too). Making one takes up to a
// few milliseconds, so each thread keeps its plans until it ends. It keeps at most kPlans, several times as many as a
// net has geometries; beyond that it drops all of them and starts anew. The reference is valid until the next call. May
// throw dnnl::error.
const Plan& PlanFor(Pass pass, const ConvGeometry& g, int threads) {
  constexpr size_t kPlans = 256;
  using Key = std::array<int64_t, 16>;
  thread_local absl::flat_hash_map<Key, std::unique_ptr<const Plan>> plans;
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
  if (const auto it = plans.find(key); it != plans.end()) return *it->second;
  auto plan = std::make_unique<const Plan>(MakePlan(pass, g));
  if (plans.size() >= kPlans) plans.clear();
  return *(plans[key] = std::move(plan));
}

// The pass determines which of x, w and y is written, and which are gradients: in the backward passes y is dy, and what
// is written is dx or dw. May throw dnnl::error.
void Execute(ExecContext& context, Pass pass, const ConvGeometry& geometry, const float* x, const float* w,
             const float* y) {
  const Plan& plan = PlanFor(pass, geometry, context.threads());
  const dnnl::engine& engine = OneDnnEngine();
  const auto at = [&engine](const memory::desc& desc, const void* data) {
    return memory(desc, engine, const_cast<void*>(data));
  };
  const bool reorders = plan.inner_w != plan.w;
  const Scratch<uint8_t> scratchpad(context, plan.scratchpad.get_size());
  const Scratch<uint8_t> reorder_scratchpad(context, plan.reorder_scratchpad.get_size());
  const Scratch<uint8_t> inner(context, reorders ? plan.inner_w.get_size() : 0);

  const memory filters = at(plan.w, w);
  const memory inner_filters = reorders ? at(plan.inner_w, inner.data()) : filters;
  dnnl::stream stream(engine);
  const auto reorder = [&](const memory& from, const memory& to) {
    plan.reorder.execute(stream, {{DNNL_ARG_FROM, from},
                                  {DNNL_ARG_TO, to},
                                  {DNNL_ARG_SCRATCHPAD, at(plan.reorder_scratchpad, reorder_scratchpad.data())}});
  };
  if (reorders && pass != Pass::kBackwardWeight) reorder(filters, inner_filters);
  const bool forward = pass == Pass::kForward;
  plan.convolution.execute(stream,
                           {{pass == Pass::kBackwardInput ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, at(plan.x, x)},
                            {pass == Pass::kBackwardWeight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, inner_filters},
                            {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, at(plan.y, y)},
                            {DNNL_ARG_SCRATCHPAD, at(plan.scratchpad, scratchpad.data())}});
  if (reorders && pass == Pass::kBackwardWeight) reorder(inner_filters, filters);
  stream.wait();
}

void Run(ExecContext& context, const char* kernel, Pass pass, const ConvGeometry& g, const float* x, const float* w,
         const float* y) {
  BITGRAD_DCHECK(g.padding == Padding::kZero || (g.pad_height == 0 && g.pad_width == 0));
  BITGRAD_DCHECK(g.batch > 0 && g.filters > 0 && g.patch_size() > 0 && g.out_height() > 0 && g.out_width() > 0);
  const OmpThreads threads(context.threads());
  try {
    Execute(context, pass, g, x, w, y);
  } catch (const dnnl::error& error) {
    context.ReportError(absl::InternalError(
        absl::StrCat(kernel, ": oneDNN failed with status ", static_cast<int>(error.status), " for images [", g.batch,
                     ", ", g.height, ", ", g.width, ", ", g.channels, "] and filters [", g.filters, ", ",
                     g.kernel_height, ", ", g.kernel_width, ", ", g.group_channels(), "]")));
  }
}

}  // namespace

void Conv2dF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* w, float* y) {
  Run(context, "conv2d_f32", Pass::kForward, geometry, x, w, y);
}

void Conv2dBackwardInputF32(ExecContext& context, const ConvGeometry& geometry, const float* dy, const float* w,
                            float* dx) {
  Run(context, "conv2d_backward_input_f32", Pass::kBackwardInput, geometry, dx, w, dy);
}

void Conv2dBackwardWeightF32(ExecContext& context, const ConvGeometry& geometry, const float* x, const float* dy,
                             float* dw) {
  Run(context, "conv2d_backward_weight_f32", Pass::kBackwardWeight, geometry, x, dw, dy);
}

}  // namespace bitgrad::cpu
