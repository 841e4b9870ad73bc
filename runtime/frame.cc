#include "runtime/frame.h"

#include <algorithm>

#include "core/parallel_for.h"
#include "ops/dispatch.h"

namespace bitgrad {

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
      values_(static_cast<size_t>(model.header().instructions_size()) + 1) {
  if (!model.header().input().has_pixels()) return;
  const packed::PixelMapping& mapping = model.header().input().pixels();
  for (int p = 0; p < 256; ++p) {
    pixel_values_[p] =
        (mapping.multiplier() * static_cast<float>(p) + mapping.offset()) / mapping.divisor();
  }
}

void Frame::Begin(int64_t batch) {
  batch_ = batch;
  for (Value& value : values_) {
    value.floats = nullptr;
    value.pixels = nullptr;
  }
}

void Frame::Begin(ConstMatrixView<float> x) {
  Begin(x.rows);
  if (x.contiguous()) {
    values_[0].floats = x.data;
  } else {
    float* copy = GrowBuffer<float>(values_[0].float_buffer, x.size(), context_);
    kernels_.copy_matrix(context_, x, {copy, x.rows, x.cols});
    values_[0].floats = copy;
  }
}

void Frame::Begin(ConstMatrixView<uint8_t> pixels) {
  Begin(pixels.rows);
  if (pixels.contiguous()) {
    values_[0].pixels = pixels.data;
  } else {
    uint8_t* copy = GrowBuffer<uint8_t>(pixel_buffer_, pixels.size(), context_);
    for (int64_t i = 0; i < pixels.rows; ++i) {
      std::copy_n(pixels.row(i), pixels.cols, copy + i * pixels.cols);
    }
    values_[0].pixels = copy;
  }
}

ConstMatrixView<float> Frame::floats(int id) {
  Value& value = values_[id];
  if (value.floats == nullptr) {
    const int64_t count = rows(id) * cols(id);
    float* y = GrowBuffer<float>(value.float_buffer, count, context_);
    ParallelFor(context_.threads(), count, 1 << 14, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) y[i] = pixel_values_[value.pixels[i]];
    });
    value.floats = y;
  }
  return {value.floats, rows(id), cols(id)};
}

ConstMatrixView<uint8_t> Frame::pixels(int id) const {
  return {values_[id].pixels, rows(id), cols(id)};
}

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
