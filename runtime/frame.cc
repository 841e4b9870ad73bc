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
      values_(static_cast<size_t>(model.header().instructions_size()) + 1),
      states_(model, context) {
  for (size_t id = 0; id < values_.size(); ++id) {
    const PackedValue& value = model.value(static_cast<int>(id));
    values_[id].example_rows = value.example.rows();
    values_[id].cols = value.example.cols();
    values_[id].is_coded = value.is_coded();
  }
}

void Frame::Begin(int64_t batch) {
  batch_ = batch;
  for (Value& value : values_) {
    value.alias = -1;
    value.floats = value.terms = nullptr;
    value.codes = value.pixels = nullptr;
    value.source = nullptr;
    for (BitForm& form : value.bits) form.is_made = false;
  }
}

template <typename T>
void Frame::Load(ConstMatrixView<T> x, Input<T>& input) {
  input.data = x.data;
  const int64_t steps = std::max<int64_t>(1, model_.time_steps()), cols = x.cols / steps;
  if (!x.contiguous() || (steps > 1 && x.rows > 1)) {
    T* const copy = GrowBuffer<T>(input.gathered, x.size(), HeapAllocator());
    ParallelFor(context_.threads(), x.rows, std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, x.cols)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t i = begin; i < end; ++i) {
                    for (int64_t t = 0; t < steps; ++t) {
                      std::copy_n(x.row(i) + t * cols, cols, copy + (t * x.rows + i) * cols);
                    }
                  }
                });
    input.data = copy;
  }
  if (context_.device() == Device::kCpu) return;
  T* const uploaded = GrowBuffer<T>(input.uploaded, x.size(), context_);
  context_.Upload(uploaded, input.data, static_cast<size_t>(x.size()) * sizeof(T));
  input.data = uploaded;
}

void Frame::Begin(ConstMatrixView<float> x) {
  Load(x, float_input_);
  pixel_input_.data = nullptr;
  batch_ = x.rows;
  BeginStep(0);
}

void Frame::Begin(ConstMatrixView<uint8_t> pixels) {
  Load(pixels, pixel_input_);
  float_input_.data = nullptr;
  batch_ = pixels.rows;
  BeginStep(0);
}

void Frame::BeginStep(int64_t step) {
  Begin(batch_);
  const int64_t from = step * rows(0) * cols(0);
  if (float_input_.data != nullptr) values_[0].floats = float_input_.data + from;
  if (pixel_input_.data != nullptr) values_[0].pixels = pixel_input_.data + from;
}

void Frame::Begin(const int32_t* tokens, int64_t first, int64_t streams) {
  Begin(streams);
  tokens_ = tokens;
  first_stream_ = first;
}

void Frame::KeepStates() {
  for (int slot = 0; slot < model_.header().states_size(); ++slot) {
    const ConstMatrixView<float> next = floats(model_.header().states(slot).next());
    kernels_.copy_matrix(context_, next, {states_.next(slot, first_stream_), next.rows, next.cols});
  }
}

ConstMatrixView<float> Frame::floats(int id) {
  Value& value = values_[root(id)];
  if (value.floats == nullptr) MakeFloats(root(id));
  return {value.floats, rows(id), cols(id)};
}

ConstMatrixView<float> Frame::terms(int id) {
  if (!values_[id].is_coded) return floats(id);
  Value& value = values_[root(id)];
  if (value.terms == nullptr) MakeTerms(root(id));
  return {value.terms, rows(id), cols(id)};
}

ConstMatrixView<uint8_t> Frame::codes(int id) {
  Value& value = values_[root(id)];
  if (value.codes == nullptr && value.source != nullptr) {
    value.source->MakeCodes(*this, NewCodes(root(id)));
  } else if (value.codes == nullptr) {
    // Of bits. They are read before there is a place for the bytes, which would be taken for the value.
    const ConstMatrixView<float> from = terms(root(id));
    kernels_.pack_codes(context_, model_.value(id).encoding, from, NewCodes(root(id)));
  }
  return {value.codes, rows(id), cols(id)};
}

ConstBitMatrixView Frame::bits(int id, int64_t cols_of_row) {
  const int from = root(id);
  BitForm& form = BitsOf(values_[from], cols_of_row);
  if (!form.is_made && values_[from].source != nullptr) {
    values_[from].source->MakeBits(*this, NewBits(from, cols_of_row));
  } else if (!form.is_made) {
    // Of bits in rows of another length, or of bytes. They are read before there is a place for the new ones.
    const ConstMatrixView<uint8_t> c = codes(id);
    const BitMatrixView bits = NewBits(from, cols_of_row);
    kernels_.pack_planes(context_, {c.data, c.size() / cols_of_row, cols_of_row}, 1, &bits);
  }
  return form.view;
}

ConstMatrixView<uint8_t> Frame::pixels(int id) { return {values_[root(id)].pixels, rows(id), cols(id)}; }

// From pixels, or from codes.
void Frame::MakeFloats(int id) {
  Value& value = values_[id];
  const bool is_coded = value.is_coded;
  const ConstMatrixView<float> from = is_coded ? terms(id) : ConstMatrixView<float>{};
  const int64_t count = rows(id) * cols(id);
  const float scale = model_.value(id).scale;
  if (is_coded && scale == 1.0f) {
    value.floats = from.data;
    return;
  }
  float* const y = GrowBuffer<float>(value.float_buffer, count, context_);
  if (is_coded) {
    kernels_.scale_f32(context_, scale, from.data, /*accumulate=*/false, y, count);
  } else {
    kernels_.look_up_f32(context_, pixel_values_.data<float>(), value.pixels, y, count);
  }
  value.floats = y;
}

void Frame::MakeTerms(int id) {
  Value& value = values_[id];
  const int64_t count = rows(id) * cols(id);
  float* const terms = GrowBuffer<float>(value.term_buffer, count, context_);
  value.terms = terms;
  if (value.source != nullptr) {
    value.source->MakeTerms(*this, {terms, rows(id), cols(id)});
    return;
  }
  if (value.codes != nullptr) {
    kernels_.unpack_codes(context_, model_.value(id).encoding, {value.codes, rows(id), cols(id)},
                          {terms, rows(id), cols(id)});
    return;
  }
  for (const BitForm& form : value.bits) {
    if (!form.is_made) continue;
    kernels_.unpack_signs(context_, form.view, {terms, form.view.rows, form.view.cols});
    return;
  }
}

MatrixView<float> Frame::NewFloats(int id) {
  float* const y = GrowBuffer<float>(values_[id].float_buffer, rows(id) * cols(id), context_);
  values_[id].floats = y;
  return {y, rows(id), cols(id)};
}

MatrixView<uint8_t> Frame::NewCodes(int id) {
  uint8_t* const c = GrowBuffer<uint8_t>(values_[id].code_buffer, rows(id) * cols(id), context_);
  values_[id].codes = c;
  return {c, rows(id), cols(id)};
}

BitMatrixView Frame::NewBits(int id, int64_t cols_of_row) {
  BitForm& form = BitsOf(values_[id], cols_of_row);
  const BitMatrixView bits = GrowBits(form.buffer, rows(id) * cols(id) / cols_of_row, cols_of_row, context_);
  form.view = bits;
  form.is_made = true;
  return bits;
}

Frame::BitForm& Frame::BitsOf(Value& value, int64_t cols_of_row) {
  for (BitForm& form : value.bits) {
    if (form.cols == cols_of_row) return form;
  }
  BitForm& form = value.bits.emplace_back();
  form.cols = cols_of_row;
  return form;
}

}  // namespace bitgrad
