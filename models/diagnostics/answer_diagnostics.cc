#include "bitgrad/models/diagnostics/answer_diagnostics.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace bitgrad {

void AnswerDiagnostics::Add(ConstMatrixView<float> logits, absl::Span<const int32_t> labels) {
  if (classes_ <= kMostClasses && confusion_.empty()) confusion_.assign(static_cast<size_t>(classes_ * classes_), 0);
  for (int64_t i = 0; i < logits.rows; ++i) {
    const int64_t example = examples_++;
    const absl::Span<const float> row(logits.row(i), static_cast<size_t>(logits.cols));
    if (std::any_of(row.begin(), row.end(), [](float x) { return std::isnan(x); })) continue;
    const int64_t answer = std::max_element(row.begin(), row.end()) - row.begin();
    const int32_t label = labels[static_cast<size_t>(i)];
    if (!confusion_.empty()) ++confusion_[static_cast<size_t>(label * classes_ + answer)];
    if (answer == label) continue;
    double sum = 0;
    const double most = double{row[static_cast<size_t>(answer)]};
    for (const float x : row) sum += std::exp(double{x} - most);
    diagnostics::Mistake mistake;
    mistake.set_example(example);
    mistake.set_label(label);
    mistake.set_answer(static_cast<int32_t>(answer));
    mistake.set_answer_share(1 / sum);
    mistake.set_label_share(std::exp(double{row[static_cast<size_t>(label)]} - most) / sum);
    const auto worse = [](const diagnostics::Mistake& a, const diagnostics::Mistake& b) {
      return a.label_share() < b.label_share();
    };
    if (worst_.size() == kMistakes && !worse(mistake, worst_.back())) continue;
    worst_.insert(std::upper_bound(worst_.begin(), worst_.end(), mistake, worse), std::move(mistake));
    if (worst_.size() > kMistakes) worst_.pop_back();
  }
}

void AnswerDiagnostics::Finish(diagnostics::Epoch& epoch) const {
  epoch.mutable_confusion()->Assign(confusion_.begin(), confusion_.end());
}

}  // namespace bitgrad
