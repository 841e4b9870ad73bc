// Frame: the values of a program while it runs over one piece of a batch, and what they are made from, all in memory of
// the context's device. Buffers stay between runs.

#ifndef BITGRAD_RUNTIME_FRAME_H_
#define BITGRAD_RUNTIME_FRAME_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/kernels.h"
#include "bitgrad/runtime/model_blobs.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// A buffer of at least `count` elements, kept where the one at hand is large enough.
template <typename T>
T* GrowBuffer(Tensor& buffer, int64_t count, Allocator& allocator) {
  if (buffer.is_null() || buffer.num_elements() < count) buffer = Tensor({count}, DTypeOf<T>::kValue, allocator);
  return buffer.mutable_data<T>();
}
template <typename T>
T* GrowBuffer(Tensor& buffer, int64_t count, ExecContext& context) {
  return GrowBuffer<T>(buffer, count, context.allocator());
}

// The first `rows` rows of a bit matrix with `cols` columns, grown likewise.
BitMatrixView GrowBits(BitMatrix& buffer, int64_t rows, int64_t cols, ExecContext& context);

class Frame {
 public:
  // REQUIRES: model and context outlive the frame.
  Frame(const PackedModel& model, ExecContext& context);

  ExecContext& context() { return context_; }
  const Kernels& kernels() const { return kernels_; }
  // Examples of the piece.
  int64_t batch() const { return batch_; }

  // The model's blobs.
  const ModelBlobs& blobs() const { return blobs_; }
  // What each pixel is as a float, by the model's mapping: [1, 256].
  ConstMatrixView<float> pixel_values() const { return pixel_values_.matrix<float>(); }

  // Starts a run over the rows of x [batch, features] of the host, which has to stay while it lasts.
  void Begin(ConstMatrixView<float> x);
  void Begin(ConstMatrixView<uint8_t> pixels);

  // A value as a matrix: all dimensions but the last, the batch included, are rows; no gaps between
  // rows. REQUIRES: it is made, and is not bits. Pixels become floats here.
  ConstMatrixView<float> floats(int id);
  // The value as pixels, where it is the input (or its reshape) and was given so; else data is
  // null.
  ConstMatrixView<uint8_t> pixels(int id) const;
  // REQUIRES: it is made, and is bits.
  ConstBitMatrixView bits(int id) const { return values_[id].bits; }

  // Where an instruction writes its value. Bits lie as PackedValue says.
  MatrixView<float> NewFloats(int id);
  BitMatrixView NewBits(int id);
  // Value `id` is the elements of value `of` in another shape.
  void Alias(int id, int of);

 private:
  struct Value {
    const float* floats = nullptr;
    const uint8_t* pixels = nullptr;
    ConstBitMatrixView bits;
    Tensor float_buffer;
    BitMatrix bit_buffer;
  };
  // Memory for what is not used in place.
  struct Input {
    Tensor gathered;  // of the host
    Tensor uploaded;
  };
  // The elements of x without gaps between rows, where kernels read them.
  template <typename T>
  const T* Load(ConstMatrixView<T> x, Input& input);
  void Begin(int64_t batch);
  int64_t bit_rows(int id) const { return model_.value(id).rows_are_examples ? batch_ : rows(id); }
  int64_t bit_cols(int id) const { return model_.value(id).rows_are_examples ? model_.value(id).features() : cols(id); }
  int64_t rows(int id) const { return batch_ * model_.value(id).example.rows(); }
  int64_t cols(int id) const { return model_.value(id).example.cols(); }

  const PackedModel& model_;
  ExecContext& context_;
  const Kernels& kernels_;
  const ModelBlobs blobs_;
  Tensor pixel_values_;
  int64_t batch_ = 0;
  std::vector<Value> values_;
  Input float_input_, pixel_input_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_FRAME_H_
