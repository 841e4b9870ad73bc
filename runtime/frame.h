// Frame: holds the values of a program while it runs over one piece of a batch: the input, the result of each
// instruction, and the buffers that they are written to. All of them lie in memory of the context's device. Buffers are
// kept between runs and grow when a larger piece comes.

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

// Makes `buffer` hold at least `count` elements. A buffer that is large enough is left as it is.
template <typename T>
T* GrowBuffer(Tensor& buffer, int64_t count, Allocator& allocator) {
  if (buffer.is_null() || buffer.num_elements() < count) buffer = Tensor({count}, DTypeOf<T>::kValue, allocator);
  return buffer.mutable_data<T>();
}
template <typename T>
T* GrowBuffer(Tensor& buffer, int64_t count, ExecContext& context) {
  return GrowBuffer<T>(buffer, count, context.allocator());
}

// The same for a bit matrix with `cols` columns: a view of its first `rows` rows.
BitMatrixView GrowBits(BitMatrix& buffer, int64_t rows, int64_t cols, ExecContext& context);

class Frame {
 public:
  // REQUIRES: model and context outlive the frame.
  Frame(const PackedModel& model, ExecContext& context);

  ExecContext& context() { return context_; }
  const Kernels& kernels() const { return kernels_; }
  // The number of examples in the piece.
  int64_t batch() const { return batch_; }

  // The model's blobs.
  const ModelBlobs& blobs() const { return blobs_; }
  // The float that the model's pixel mapping makes of each of the 256 pixels, [1, 256].
  ConstMatrixView<float> pixel_values() const { return pixel_values_.matrix<float>(); }

  // Begins a run over the rows of x [batch, features]. x lies in the host's memory and has to stay there until the run
  // is over.
  void Begin(ConstMatrixView<float> x);
  void Begin(ConstMatrixView<uint8_t> pixels);

  // A value as a matrix: all dimensions but the last, the batch included, are rows; no gaps between
  // rows. An input that was given as pixels is converted to floats here, at the first call. REQUIRES: the instruction
  // that makes the value has run, and the value is not bits.
  ConstMatrixView<float> floats(int id);
  // The value as pixels, where it is the input, or a reshape of the input, and the input was given as pixels. Otherwise
  // `data` of the result is null.
  ConstMatrixView<uint8_t> pixels(int id) const;
  // The value as bits. REQUIRES: the instruction that makes it has run, and it is bits.
  ConstBitMatrixView bits(int id) const { return values_[id].bits; }

  // The buffer that an instruction writes its value to. PackedValue (check_program.h) says how bits are laid out.
  MatrixView<float> NewFloats(int id);
  BitMatrixView NewBits(int id);
  // Makes value `id` the elements of value `of` in another shape, without copying them.
  void Alias(int id, int of);

 private:
  struct Value {
    const float* floats = nullptr;
    const uint8_t* pixels = nullptr;
    ConstBitMatrixView bits;
    Tensor float_buffer;
    BitMatrix bit_buffer;
  };
  // Copies of an input that kernels cannot read where it is.
  struct Input {
    Tensor gathered;  // the rows without gaps between them, in the host's memory
    Tensor uploaded;  // the same in the device's memory
  };
  // The elements of x without gaps between rows, in memory that kernels can read: x itself where that is possible.
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
