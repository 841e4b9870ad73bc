// Frame: holds the values of a program while it runs over one piece of a batch: the input, the result of each
// instruction, and the buffers that they are written to. All of them lie in memory of the context's device. Buffers are
// kept between runs and grow when a larger piece comes.
//
// A value has one or more forms: floats, the bytes or bits of its codes, its codes as floats, pixels. The instruction
// that makes it gives one of them, or says how it is quantized; the others are made when somebody reads them.

#ifndef BITGRAD_RUNTIME_FRAME_H_
#define BITGRAD_RUNTIME_FRAME_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/kernels.h"
#include "bitgrad/runtime/model_blobs.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/state_memory.h"

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

class Frame;

// How a value of codes is made from another value: a quantize instruction, which leaves it to the frame when to do it
// and in which form. Each function writes the whole value; the views have no gaps, and rows of any length.
class CodeSource {
 public:
  virtual ~CodeSource() = default;
  virtual void MakeCodes(Frame& frame, MatrixView<uint8_t> codes) = 0;  // stored codes (core/encoding.h)
  virtual void MakeBits(Frame& frame, BitMatrixView bits) = 0;          // REQUIRES: the encoding is kBinary
  virtual void MakeTerms(Frame& frame, MatrixView<float> terms) = 0;    // the codes as floats
};

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

  // Begins a run over the rows of x [batch, features], of a model of time steps over the first one of each row. x lies
  // in the host's memory and has to stay there until the run is over, that of the last time step.
  void Begin(ConstMatrixView<float> x);
  void Begin(ConstMatrixView<uint8_t> pixels);
  // The same for time step `step` of the rows that are there.
  void BeginStep(int64_t step);
  // The same for one token of each of `streams` streams, the first of which is stream `first` of the states. The tokens
  // lie in memory that kernels can read.
  void Begin(const int32_t* tokens, int64_t first, int64_t streams);

  // ---- Reading. REQUIRES: the instruction that makes the value has run. Views are valid until the end of the run.

  // The value's floats as a matrix: all dimensions but the last, the batch included, are rows; no gaps between rows.
  ConstMatrixView<float> floats(int id);
  // The codes as floats; of a value of floats, the floats.
  ConstMatrixView<float> terms(int id);
  // The stored codes as bytes. REQUIRES: the value is codes.
  ConstMatrixView<uint8_t> codes(int id);
  // The codes as bits, in rows of `cols` elements. REQUIRES: the value is binary codes; `cols` divides its elements.
  ConstBitMatrixView bits(int id, int64_t cols);
  // The value as pixels, where it is the input, or a reshape of the input, and the input was given as pixels. Otherwise
  // `data` of the result is null.
  ConstMatrixView<uint8_t> pixels(int id);
  // The tokens of this time step, one for each stream.
  const int32_t* tokens() const { return tokens_; }
  // What the time step before has left in a slot, for the streams of this piece.
  const float* state(int slot) const { return states_.current(slot, first_stream_); }

  // ---- Writing: each instruction calls one of these for its value, and fills the buffer that it is given.

  MatrixView<float> NewFloats(int id);
  MatrixView<uint8_t> NewCodes(int id);
  // The floats lie elsewhere, until the end of the run.
  void SetFloats(int id, const float* floats) { values_[id].floats = floats; }
  // The codes are bytes that lie elsewhere, until the end of the run.
  void SetCodes(int id, const uint8_t* codes) { values_[id].codes = codes; }
  // In rows of `cols` elements.
  BitMatrixView NewBits(int id, int64_t cols);
  // The codes are what `source` makes, as soon as somebody asks for them. REQUIRES: what it reads is not written to
  // before the end of the run.
  void SetSource(int id, CodeSource* source) { values_[id].source = source; }
  // Makes value `id` the elements of value `of`, maybe in another shape, without copying them. Where only `of` is
  // codes, `id` is their floats.
  void Alias(int id, int of) { values_[id].alias = of; }

  StateMemory& states() { return states_; }
  // Once all instructions have run: the states of these streams get their next values.
  void KeepStates();

 private:
  // The bits of a value in rows of one length.
  struct BitForm {
    int64_t cols = 0;
    bool is_made = false;  // in this run
    ConstBitMatrixView view;
    BitMatrix buffer;
  };
  struct Value {
    int alias = -1;  // of which value it is an alias
    // The forms that have been made in this run; null or not is_made where they have not.
    const float* floats = nullptr;
    const float* terms = nullptr;
    const uint8_t* codes = nullptr;
    const uint8_t* pixels = nullptr;
    std::deque<BitForm> bits;  // seldom more than one
    CodeSource* source = nullptr;
    Tensor float_buffer, term_buffer, code_buffer;
    // What the model says of it, where it is at hand.
    int64_t example_rows = 0, cols = 0;
    bool is_coded = false;
  };
  // An input, in memory that kernels can read: time step by time step, and row by row without gaps.
  template <typename T>
  struct Input {
    const T* data = nullptr;  // null: the run is not over such an input
    // Copies, where the caller's memory is not like that.
    Tensor gathered;  // in the host's memory
    Tensor uploaded;  // in the device's memory
  };
  template <typename T>
  void Load(ConstMatrixView<T> x, Input<T>& input);
  void Begin(int64_t batch);
  // The value whose forms `id` reads.
  int root(int id) const {
    while (values_[id].alias >= 0) id = values_[id].alias;
    return id;
  }
  BitForm& BitsOf(Value& value, int64_t cols);
  // For a value that is no alias.
  void MakeFloats(int id);
  void MakeTerms(int id);
  int64_t rows(int id) const { return batch_ * values_[id].example_rows; }
  int64_t cols(int id) const { return values_[id].cols; }

  const PackedModel& model_;
  ExecContext& context_;
  const Kernels& kernels_;
  const ModelBlobs blobs_;
  Tensor pixel_values_;
  int64_t batch_ = 0;
  std::vector<Value> values_;
  Input<float> float_input_;
  Input<uint8_t> pixel_input_;
  StateMemory states_;
  int64_t first_stream_ = 0;
  const int32_t* tokens_ = nullptr;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_FRAME_H_
