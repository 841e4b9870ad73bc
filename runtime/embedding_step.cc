#include "bitgrad/runtime/embedding_step.h"

#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {

EmbeddingStep::EmbeddingStep(const PackedModel& model, int i, Frame& frame)
    : result_(i + 1), encoding_(model.value(i + 1).encoding) {
  const packed::Embedding& embedding = model.header().instructions(i).embedding();
  const packed::Blob& table = model.blob(embedding.table());
  const int64_t tokens = model.header().input().tokens(), width = embedding.width();
  if (!encoding_.is_integer()) {
    floats_ = {frame.blobs().floats(embedding.table()), tokens, width};
    return;
  }
  codes_ = {.bits = PlaneCount(table), .rows = tokens, .cols = width};
  for (int p = 0; p < codes_.bits; ++p) {
    const ConstBitMatrixView plane = frame.blobs().plane(embedding.table(), p);
    codes_.planes[p] = plane.words;
    // One row for each token, or all of them in one.
    codes_.row_bits = plane.cols == width ? plane.stride * 64 : width;
  }
}

void EmbeddingStep::Run(Frame& frame) {
  if (encoding_.is_integer()) return frame.SetSource(result_, this);
  frame.kernels().embedding_forward(frame.context(), frame.tokens(), floats_, frame.NewFloats(result_));
}

// A view whose rows have another length holds the same elements: the value has been reshaped.
void EmbeddingStep::MakeCodes(Frame& frame, MatrixView<uint8_t> codes) {
  frame.kernels().gather_codes(frame.context(), codes_, frame.tokens(), {codes.data, frame.batch(), codes_.cols});
}

void EmbeddingStep::MakeBits(Frame& frame, BitMatrixView bits) {
  if (bits.cols == codes_.cols) {
    frame.kernels().gather_bits(frame.context(), codes_, frame.tokens(), bits);
    return;
  }
  const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(bytes_, bits.rows * bits.cols, frame.context()), bits.rows,
                                  bits.cols);
  MakeCodes(frame, codes);
  frame.kernels().pack_planes(frame.context(), codes, 1, &bits);
}

void EmbeddingStep::MakeTerms(Frame& frame, MatrixView<float> terms) {
  const MatrixView<uint8_t> codes(GrowBuffer<uint8_t>(bytes_, terms.size(), frame.context()), terms.rows, terms.cols);
  MakeCodes(frame, codes);
  frame.kernels().unpack_codes(frame.context(), encoding_, codes, terms);
}

}  // namespace bitgrad
