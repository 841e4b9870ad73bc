// AnswerDiagnostics: which classes a classifier confuses, and what it is most wrong about.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_ANSWER_DIAGNOSTICS_H_
#define BITGRAD_MODELS_DIAGNOSTICS_ANSWER_DIAGNOSTICS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/view.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

class AnswerDiagnostics {
 public:
  // More classes than this have no confusion matrix, which nobody could read.
  static constexpr int64_t kMostClasses = 100;
  static constexpr size_t kMistakes = 24;

  explicit AnswerDiagnostics(int64_t classes) : classes_(classes) {}

  // Adds the answers to the next examples of an evaluation. The answer is the class with the largest logit, of equals
  // the first one; examples with a logit that is NaN are passed by. REQUIRES: logits [examples, classes] and labels
  // [examples] lie on the host.
  void Add(ConstMatrixView<float> logits, absl::Span<const int32_t> labels);

  // Sets the confusion matrix.
  void Finish(diagnostics::Epoch& epoch) const;
  // The mistakes with the least share for the right class, the worst one first, without pictures.
  std::vector<diagnostics::Mistake> Worst() const { return worst_; }

 private:
  const int64_t classes_;
  int64_t examples_ = 0;
  std::vector<int64_t> confusion_;
  std::vector<diagnostics::Mistake> worst_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_ANSWER_DIAGNOSTICS_H_
