// IncrementalLoss: the loss of a DiscreteMlp on a batch, kept up to date while single weights change, and what it would
// become if one of them did.
//
// A change of w_l[j, i] by d changes the sums z_l[j] of those examples alone whose input i is not 0, by d a[i]. So a
// trial in the first layer visits the examples of a list, and in a net of one layer costs one loss term for each. What
// is behind a hidden layer is computed again only for the examples whose code changes, and only as far as codes change.
//
// The loss of an example is rounded to a multiple of 2^-20, and no term of it counts as more than 2^20: losses are
// integers. So their sum has no rounding, depends on no order and on no number of threads, and is the same whether it
// was kept up to date or computed from nothing.
//
//   squared hinge           sum over classes of max(0, 1 - t y)^2, t = +-1; each term is rounded
//   softmax cross entropy   log(sum_c exp(y_c)) - y_label, rounded; logits count as at most 500 in size

#ifndef BITGRAD_MODELS_TRAINING_INCREMENTAL_LOSS_H_
#define BITGRAD_MODELS_TRAINING_INCREMENTAL_LOSS_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

class IncrementalLoss {
 public:
  static constexpr double kUnit = 0x1p-20;  // of losses
  static constexpr int64_t kMostTerms = int64_t{1} << 22;

  // Of the net as it is; all further changes of the net go through Set(). `threads` work on a trial that is large
  // enough. InvalidArgument where the batch has more than kMostTerms / classes examples; errors of the net. REQUIRES:
  // `net` outlives this; the labels are classes.
  static absl::StatusOr<std::unique_ptr<IncrementalLoss>> Create(DiscreteMlp& net, recipe::Loss loss,
                                                                 const Batch& batch, int threads);

  // The sum over the examples, in units.
  int64_t total() const { return total_; }
  // The recipe's loss: a mean over the batch, and, of SQUARED_HINGE, over classes.
  double mean() const;
  int64_t examples() const { return examples_; }
  // How many examples the net gets wrong, as the classification task counts them.
  int64_t errors() const;

  // By how much total() would change if the coordinate had each of these values. REQUIRES: at most kMostDiscreteValues.
  void Try(const Coordinate& at, absl::Span<const int> choices, absl::Span<int64_t> changes);
  // Gives the coordinate this value.
  void Set(const Coordinate& at, int choice);

 private:
  // What a layer has computed. An element is at unit * unit_stride + example * example_stride: the first layer's
  // columns of examples lie together, of further layers the units of an example.
  struct State {
    std::vector<int32_t> sums;
    std::vector<int16_t> codes;  // of a hidden layer
    int64_t unit_stride = 0, example_stride = 0;
    int64_t At(int64_t unit, int64_t example) const { return unit * unit_stride + example * example_stride; }
  };
  struct InputChange {
    int64_t input;
    int32_t difference;  // of its code
  };
  struct Scratch {
    std::vector<InputChange> changes, next;
    std::vector<int32_t> sums;
    std::vector<float> outputs;
  };

  IncrementalLoss(DiscreteMlp& net, recipe::Loss loss, int threads) : net_(net), loss_(loss), threads_(threads) {}
  absl::Status Fill(const Batch& batch);
  void ComputeFromNothing();
  int64_t Term(float output, bool is_label) const;
  // The loss of an example with these logits; leaves their exponentials where there is room for them.
  int64_t LossOf(absl::Span<const float> logits, int32_t label, double* exponentials) const;
  int64_t LogLoss(const double* exponentials, int64_t changed, double exponential, float label_logit) const;
  // The loss of the example after the inputs of the layer have changed as `scratch.changes` say; with `keep` these
  // changes are made.
  int64_t Behind(size_t layer, int64_t example, bool keep, Scratch& scratch);
  // Calls visit(example, code of the input) for a piece of the examples that a change of the coordinate reaches.
  template <typename Visit>
  void ForPiece(const Coordinate& at, int64_t begin, int64_t end, const Visit& visit) const;
  int64_t Reached(const Coordinate& at) const;
  void TryInLastLayer(const Coordinate& at, absl::Span<const int> choices, absl::Span<int64_t> changes);
  void TryInHiddenLayer(const Coordinate& at, absl::Span<const int> choices, absl::Span<int64_t> changes);
  int32_t Difference(const Coordinate& at, int choice) const;
  int32_t BiasOf(const Coordinate& at, int choice) const;

  DiscreteMlp& net_;
  const recipe::Loss loss_;
  const int threads_;
  int64_t examples_ = 0, classes_ = 0;
  std::vector<int32_t> labels_;
  // For each input of the net the examples where its code is not 0, and these codes: of input i from starts_[i] on.
  std::vector<int64_t> starts_;
  std::vector<int32_t> reached_;
  std::vector<int16_t> codes_;
  std::vector<State> states_;         // of the layers
  std::vector<int64_t> losses_;       // of the examples
  std::vector<double> exponentials_;  // [examples, classes], of the logits, where the loss is the cross entropy
  int64_t total_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_INCREMENTAL_LOSS_H_
