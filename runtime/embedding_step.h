// EmbeddingStep: an embedding instruction, prepared for running. A table of codes stays in bit planes: the rows of the
// tokens become bits, bytes or floats when somebody reads them.

#ifndef BITGRAD_RUNTIME_EMBEDDING_STEP_H_
#define BITGRAD_RUNTIME_EMBEDDING_STEP_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/code_table.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

class EmbeddingStep final : public Step, private CodeSource {
 public:
  // REQUIRES: instruction `i` is embedding; the model and the frame outlive the step.
  EmbeddingStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  void MakeCodes(Frame& frame, MatrixView<uint8_t> codes) override;
  void MakeBits(Frame& frame, BitMatrixView bits) override;
  void MakeTerms(Frame& frame, MatrixView<float> terms) override;

  const int result_;
  const Encoding encoding_;        // kFloat: the table is floats
  ConstMatrixView<float> floats_;  // the table, or
  ConstCodeTableView codes_;       // of codes
  Tensor bytes_;                   // a buffer
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_EMBEDDING_STEP_H_
