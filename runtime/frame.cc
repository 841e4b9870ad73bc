#include "bitgrad/runtime/frame.h"

#include <algorithm>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

// The float value of each of the 256 pixels; zeros where the model takes no pixels.
Tensor PixelValues(const PackedModel& model) {
  Tensor values = Tensor::Zeros({1, 256});
  if (!model.header().input().has_pixels()) return values;
  const packed::PixelMapping& mapping = model.header().input().pixels();
  for (int p = 0; p < 256; ++p) {
    values.mutable_data<float>()[p] =
        (mapping.multiplier() * static_cast<float>(p) + mapping.offset()) / mapping.divisor();
  }
  return values;
}

}  // namespace

BitMatrixView GrowBits(BitMatrix& buffer, int64_t rows, int64_t cols, ExecContext& context) {
  if (buffer.is_null() || buffer.rows() < rows || buffer.cols() != cols) {
    buffer = BitMatrix(rows, cols, context.allocator());
  }
  BitMatrixView view = buffer.mutable_view();
  view.rows = rows;
  return view;
}

Frame::Frame(const PackedModel& model, ExecContext& context)
    : model_(model),
      context_(context),
      kernels_(KernelsFor(context.device())),
      blobs_(model, context),
      pixel_values_(ToDevice(context, PixelValues(model))),
      values_(static_cast<size_t>(model.header().instructions_size()) + 1) {}

void Frame::Begin(int64_t batch) {
  batch_ = batch;
  for (Value& value : values_) {
    value.floats = nullptr;
    value.pixels = nullptr;
  }
}

template <typename T>
const T* Frame::Load(ConstMatrixView<T> x, Input& input) {
  const T* data = x.data;
  if (!x.contiguous()) {
    T* const copy = GrowBuffer<T>(input.gathered, x.size(), HeapAllocator());
    ParallelFor(context_.threads(), x.rows, std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, x.cols)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) std::copy_n(x.row(i), x.cols, copy + i * x.cols);
                });
    data = copy;
  }
  if (context_.device() == Device::kCpu) return data;
  T* const uploaded = GrowBuffer<T>(input.uploaded, x.size(), context_);
  context_.Upload(uploaded, data, static_cast<size_t>(x.size()) * sizeof(T));
  return uploaded;
}

void Frame::Begin(ConstMatrixView<float> x) {
  Begin(x.rows);
  values_[0].floats = Load(x, float_input_);
}

void Frame::Begin(ConstMatrixView<uint8_t> pixels) {
  Begin(pixels.rows);
  values_[0].pixels = Load(pixels, pixel_input_);
}

ConstMatrixView<float> Frame::floats(int id) {
  Value& value = values_[id];
  if (value.floats == nullptr) {
    const int64_t count = rows(id) * cols(id);
    float* y = GrowBuffer<float>(value.float_buffer, count, context_);
    kernels_.look_up_f32(context_, pixel_values_.data<float>(), value.pixels, y, count);
    value.floats = y;
  }
  return {value.floats, rows(id), cols(id)};
}

ConstMatrixView<uint8_t> Frame::pixels(int id) const { return {values_[id].pixels, rows(id), cols(id)}; }

MatrixView<float> Frame::NewFloats(int id) {
  Value& value = values_[id];
  float* y = GrowBuffer<float>(value.float_buffer, rows(id) * cols(id), context_);
  value.floats = y;
  return {y, rows(id), cols(id)};
}

BitMatrixView Frame::NewBits(int id) {
  Value& value = values_[id];
  const BitMatrixView bits = GrowBits(value.bit_buffer, bit_rows(id), bit_cols(id), context_);
  value.bits = bits;
  return bits;
}

void Frame::Alias(int id, int of) {
  values_[id].floats = values_[of].floats;
  values_[id].pixels = values_[of].pixels;
  values_[id].bits = values_[of].bits;
}

}  // namespace bitgrad
