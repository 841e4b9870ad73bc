// Products of fixed-point codes. Weights are stored as bytes w + 128, so that the tensor cores' product of unsigned
// bytes (tensor_gemm.h) multiplies them with the codes c of patches, which are gathered as rows (gather_patches.h):
//
//   sum_k x w = sum_k c (w + 128) - 128 sum_k c + x_least sum_k w
//
// The last term and the bias are added up when the filters are arranged; the middle one is a sum over the row of bytes.
// Small groups, and sums of so many terms that those of bytes might overflow, are computed one by one.

#include <cstdint>
#include <memory>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/cuda/byte_operand.h"
#include "bitgrad/ops/cuda/conv_pixels.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/direct_conv2d.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/gather_patches.h"
#include "bitgrad/ops/cuda/gemm_epilogues.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/row_sums.h"
#include "bitgrad/ops/cuda/tensor_gemm.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The types below are not in an anonymous namespace, because kernels are instantiated with them.

class ByteFilters final : public ShiftFilters {
 public:
  ByteFilters(ExecContext& context, const ShiftWeights& given);

  ConvGeometry geometry;  // of a linear layer: of images of one pixel
  uint8_t border;         // the stored code of 0
  Tensor weights;         // uint8 [O, ByteRowBytes(patch)]: w + 128, and zeros
  Tensor terms;           // int32 [O]: bias + x_least * (sum of the filter's weights)
  Tensor flips;           // uint8 [O]: levels or 0
};

// Writes a finished sum, but for the shortcut.
struct ShiftWriter {
  ShiftOutput out;
  const uint8_t* flips;
  int64_t filters;

  __device__ __forceinline__ void Write(int64_t pixel, int64_t o, int32_t sum) const {
    const int64_t at = pixel * filters + o;
    if (out.shortcut != nullptr) sum += ShiftLeft(out.shortcut_least + out.shortcut[at], out.shortcut_shift);
    if (out.codes.data != nullptr) {
      out.codes.data[at] = out.range.Stored(sum, out.shift) ^ flips[o];
    } else if (out.floats.data != nullptr) {
      out.floats.data[at] = static_cast<float>(sum) * out.scale;
    } else {
      out.sums.data[at] = sum;
    }
  }
};

// An epilogue of tensor_gemm.h for the pixels from `first_pixel` on and the filters of a group.
struct ToShiftOutput {
  DotTerms terms;
  ShiftWriter writer;
  int64_t first_pixel, pixels;
  int64_t first_filter, filters;

  template <typename Tile>
  __device__ __forceinline__ void Store(int64_t row0, int64_t col0, const WarpSums<Tile>& sums) const {
    ForEachDot(terms, row0, col0, pixels, filters, sums,
               [&](int64_t i, int64_t j, int32_t dot) { writer.Write(first_pixel + i, first_filter + j, dot); });
  }
};

namespace {

constexpr int32_t kOffset = 128;  // what is added to weights

template <typename T>
Tensor Uploaded(ExecContext& context, DType dtype, const Shape& shape, const std::vector<T>& values) {
  Tensor tensor(shape, dtype, context.lasting_allocator());
  context.Upload(tensor.mutable_data<T>(), values.data(), values.size() * sizeof(T));
  return tensor;
}

ConvGeometry LinearGeometry(const ConstMatrixView<int8_t>& w) {
  return {.height = 1, .width = 1, .channels = w.cols, .filters = w.rows, .kernel_height = 1, .kernel_width = 1};
}

// Whether patches are the rows of x, and these operands of the product as they are.
bool MultipliesInPlace(const ConvGeometry& g, const uint8_t* x) {
  return g.kernel_height == 1 && g.kernel_width == 1 && g.stride_height == 1 && g.stride_width == 1 &&
         !g.has_border() && g.groups == 1 && g.channels % 16 == 0 && reinterpret_cast<uintptr_t>(x) % 16 == 0;
}

// The products of rows of bytes, which are the patches of the pixels from `first_pixel` on, with a group's filters.
void MultiplyRows(ExecContext& context, const ByteFilters& f, const uint8_t* patches, int64_t first_pixel, int64_t rows,
                  int64_t group, const ShiftWriter& writer) {
  const int64_t patch = f.geometry.patch_size(), filters = f.geometry.group_filters(), row_bytes = ByteRowBytes(patch);
  const int64_t first_filter = group * filters;
  TensorProblem problem = {.a = ByteOperand(patches, rows, patch),
                           .b = ByteOperand(f.weights.data<uint8_t>() + first_filter * row_bytes, filters, patch),
                           .row_bytes = row_bytes};
  SetPairs(1, 1, problem);
  const Scratch<int32_t> sums(context, rows);
  SumByteRows(context, problem.a, row_bytes, sums.data());
  const DotTerms terms = {.scale = 1,
                          .row_factor = -kOffset,
                          .column_factor = 1,
                          .constant = 0,
                          .row_sums = sums.data(),
                          .column_sums = f.terms.data<int32_t>() + first_filter};
  TensorGemm<ByteProducts>(context, "shift_product", problem, filters,
                           ToShiftOutput{terms, writer, first_pixel, rows, first_filter, filters});
}

// Sum by sum. Adjacent threads have adjacent filters.
void MultiplyDirectly(ExecContext& context, const ConvGeometry& g, const ByteFilters& f, const uint8_t* x,
                      const ShiftWriter& writer) {
  BITGRAD_CHECK(g.pixels() < kMostDividends);
  const ConvPixels pixels(g, PixelChunk{.image = 0, .first = 0, .rows = g.pixels()});
  const Divisor group_filters(g.group_filters());
  const int64_t channels = g.group_channels(), image = g.height * g.width * g.channels,
                row_bytes = ByteRowBytes(g.patch_size());
  const uint8_t* const weights = f.weights.data<uint8_t>();
  const int32_t* const terms = f.terms.data<int32_t>();
  const int32_t border = f.border;
  ForCells(context, "shift_product", g.pixels(), g.filters, [=] __device__(int64_t pixel, int64_t o) {
    const ConvPixels::Patch patch = pixels.At(static_cast<uint32_t>(pixel));
    const uint8_t* const codes = x + patch.image * image + group_filters.Quotient(static_cast<uint32_t>(o)) * channels;
    const uint8_t* w = weights + o * row_bytes;
    int32_t sum = 0;
    for (int r = 0; r < pixels.kernel_height; ++r) {
      for (int s = 0; s < pixels.kernel_width; ++s) {
        const int h = patch.h + r * pixels.dilation_height, v = patch.w + s * pixels.dilation_width;
        const bool inside = pixels.Inside(h, v);
        const uint8_t* const from = codes + (inside ? pixels.Channel(h, v) : 0);
        for (int64_t c = 0; c < channels; ++c, ++w) sum += (inside ? from[c] : border) * (*w - kOffset);
      }
    }
    writer.Write(pixel, o, sum + terms[o]);
  });
}

}  // namespace

ByteFilters::ByteFilters(ExecContext& context, const ShiftWeights& given)
    : geometry(given.geometry.value_or(LinearGeometry(given.w))), border(static_cast<uint8_t>(-given.x_least)) {
  const ConstMatrixView<int8_t>& w = given.w;
  BITGRAD_DCHECK(w.rows == geometry.filters && w.cols == geometry.patch_size() && geometry.padding == Padding::kZero);
  const int64_t row_bytes = ByteRowBytes(w.cols);
  std::vector<uint8_t> bytes(static_cast<size_t>(w.rows * row_bytes), 0), flip(static_cast<size_t>(w.rows), 0);
  std::vector<int32_t> added(static_cast<size_t>(w.rows));
  for (int64_t o = 0; o < w.rows; ++o) {
    int64_t sum = 0;
    for (int64_t k = 0; k < w.cols; ++k) {
      bytes[o * row_bytes + k] = static_cast<uint8_t>(w.at(o, k) + kOffset);
      sum += w.at(o, k);
    }
    added[o] = static_cast<int32_t>((given.bias.empty() ? 0 : given.bias[o]) + given.x_least * sum);
    if (!given.flips.empty() && given.flips[o] != 0) flip[o] = static_cast<uint8_t>(given.levels);
  }
  weights = Uploaded(context, DType::kUint8, Shape({w.rows, row_bytes}), bytes);
  terms = Uploaded(context, DType::kInt32, Shape({w.rows}), added);
  flips = Uploaded(context, DType::kUint8, Shape({w.rows}), flip);
}

void ArrangeShiftFilters(ExecContext& context, const ShiftWeights& weights,
                         std::unique_ptr<const ShiftFilters>* filters) {
  *filters = std::make_unique<ByteFilters>(context, weights);
}

void ShiftProduct(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                  const ShiftOutput& out) {
  const auto& f = static_cast<const ByteFilters&>(filters);
  ConvGeometry g = f.geometry;
  g.batch = batch;
  if (g.pixels() == 0 || g.filters == 0) return;
  const ShiftWriter writer = {out, f.flips.data<uint8_t>(), g.filters};
  // So many products of two bytes are below 2^31 together, and no sum of some of the terms is larger.
  constexpr int64_t kLongest = int64_t{1} << 15;
  if (ConvolvesDirectly(g) || g.patch_size() > kLongest) return MultiplyDirectly(context, g, f, x, writer);
  if (MultipliesInPlace(g, x)) return MultiplyRows(context, f, x, 0, g.pixels(), /*group=*/0, writer);
  const ConstMatrixView<uint8_t> images(x, g.batch, g.height * g.width * g.channels);
  const int64_t row_bytes = ByteRowBytes(g.patch_size());
  ForEachChunk(g, kMostChunkBytes, row_bytes, /*whole_images=*/false, [&](const PixelChunk& chunk) {
    const Scratch<uint8_t> patches(context, chunk.rows * row_bytes);
    for (int64_t group = 0; group < g.groups; ++group) {
      GatherPatches(context, "shift_product", g, chunk, group, images, f.border,
                    {patches.data(), chunk.rows, g.patch_size(), row_bytes});
      MultiplyRows(context, f, patches.data(), chunk.begin(g), chunk.rows, group, writer);
    }
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
