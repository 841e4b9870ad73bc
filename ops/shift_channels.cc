#include "bitgrad/ops/shift_channels.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

// Channels next to each other that move alike.
struct Group {
  int64_t begin, end;
  int64_t row, col;  // what the tap adds to a position
};

struct Geometry {
  Shape x, y;
  int64_t stride;
  std::vector<Group> groups;
};

std::vector<Group> GroupsOf(absl::Span<const uint8_t> taps, int64_t kernel) {
  std::vector<Group> groups;
  for (int64_t c = 0; c < static_cast<int64_t>(taps.size()); ++c) {
    const int64_t row = taps[c] / kernel - kernel / 2, col = taps[c] % kernel - kernel / 2;
    if (!groups.empty() && groups.back().row == row && groups.back().col == col) {
      ++groups.back().end;
    } else {
      groups.push_back({c, c + 1, row, col});
    }
  }
  return groups;
}

// Calls copy(offset in x or -1, offset in y, elements) for each group of channels of each pixel of y.
template <typename Copy>
void ForEach(ExecContext& context, const Geometry& g, const Copy& copy) {
  const int64_t height = g.x.dim(1), width = g.x.dim(2), channels = g.x.dim(3);
  const int64_t rows = g.y.dim(1), cols = g.y.dim(2);
  ParallelFor(context.threads(), g.y.dim(0), 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t p = 0; p < rows; ++p) {
        for (int64_t q = 0; q < cols; ++q) {
          const int64_t to = ((n * rows + p) * cols + q) * channels;
          for (const Group& group : g.groups) {
            const int64_t r = p * g.stride + group.row, s = q * g.stride + group.col;
            const bool inside = r >= 0 && r < height && s >= 0 && s < width;
            const int64_t from = inside ? ((n * height + r) * width + s) * channels + group.begin : -1;
            copy(from, to + group.begin, group.end - group.begin);
          }
        }
      }
    }
  });
}

}  // namespace

Var ShiftChannels(const Var& x, absl::Span<const uint8_t> taps, int64_t kernel, int64_t stride) {
  OpRecorder op("shift_channels", {x});
  if (!op.ok()) return op.Failed();
  const Shape shape = x.shape();
  if (shape.rank() != 4 || shape.num_elements() == 0) {
    return op.Fail("input ", shape.ToString(), " has to be [batch, height, width, channels], not empty");
  }
  if (kernel < 1 || stride < 1 || kernel > 255) {
    return op.Fail("kernel ", kernel, " has to be in 1 .. 255, and stride ", stride, " positive");
  }
  if (static_cast<int64_t>(taps.size()) != shape.dim(3)) {
    return op.Fail(taps.size(), " taps for ", shape.dim(3), " channels");
  }
  for (const uint8_t tap : taps) {
    if (tap >= kernel * kernel) return op.Fail("tap ", int{tap}, " of a window that has ", kernel * kernel);
  }
  const int64_t pad = kernel / 2, height = shape.dim(1) + 2 * pad - kernel, width = shape.dim(2) + 2 * pad - kernel;
  if (height < 0 || width < 0) return op.Fail("input ", shape.ToString(), " is smaller than the window of ", kernel);
  if (op.context().device() != Device::kCpu) {
    op.tape().ReportError(absl::UnimplementedError("shift_channels: there is no kernel for a GPU; use the CPU"));
    return op.Failed();
  }
  Geometry g = {.x = shape,
                .y = Shape({shape.dim(0), height / stride + 1, width / stride + 1, shape.dim(3)}),
                .stride = stride,
                .groups = GroupsOf(taps, kernel)};
  Tensor y = op.NewTensor(g.y);
  const float* const from = op.value(0).data<float>();
  float* const to = y.mutable_data<float>();
  ForEach(op.context(), g, [&](int64_t source, int64_t target, int64_t count) {
    if (source < 0) {
      std::fill(to + target, to + target + count, 0.0f);
    } else {
      std::memcpy(to + target, from + source, static_cast<size_t>(count) * sizeof(float));
    }
  });
  return op.Record(std::move(y), {}, [g = std::move(g)](Tape::GradientSink& sink) {
    Tensor dx = NewTensor(sink, g.x);
    float* const out = dx.mutable_data<float>();
    std::fill(out, out + dx.num_elements(), 0.0f);
    const float* const dy = sink.output_gradient().data<float>();
    // Each element of x has at most one of y.
    ForEach(sink.context(), g, [&](int64_t source, int64_t target, int64_t count) {
      if (source >= 0) std::memcpy(out + source, dy + target, static_cast<size_t>(count) * sizeof(float));
    });
    sink.Add(0, std::move(dx));
  });
}

std::vector<uint8_t> EvenTaps(int64_t channels, int64_t kernel) {
  std::vector<uint8_t> taps(static_cast<size_t>(std::max<int64_t>(0, channels)));
  for (int64_t c = 0; c < channels; ++c) taps[c] = static_cast<uint8_t>(c * kernel * kernel / channels);
  return taps;
}

}  // namespace bitgrad
