// DiscreteMlp: an Mlp seen as what it is once all of its products are products of integers: sums of codes, and for each
// hidden layer a table from a sum to the code that the next layer reads. A search over discrete weights
// (coordinate_descent.h) evaluates it incrementally (incremental_loss.h).
//
//   z_l = sum_i w_l[j, i] a_{l-1}[i]      integers, exact; a_0: codes of the input
//   y_l = float(z_l) * scale_l + b_l      as ops/linear.h has it, and the layer's Add
//   a_l = code of q(f(y_l))               f the activation function, q the quantizer of the next layer's input
//
// It is the same function as the model's graph: the tables are filled by the graph's own ops, and
// CheckAgainstGraph() compares the logits of both, bit for bit.
//
// Each weight has one of the recipe's values, codes of the weight quantizer; its parameter holds a float that the
// quantizer maps to this code. Biases have one of the recipe's bias values, or stay 0.

#ifndef BITGRAD_MODELS_TRAINING_DISCRETE_MLP_H_
#define BITGRAD_MODELS_TRAINING_DISCRETE_MLP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// What is wrong with the recipe's coordinate_descent, and with a model that it cannot train, as far as that is known
// without the data. InvalidArgument, with the field and what to do, for: fewer than two values, a value twice, more
// than kMostDiscreteValues, bias values that are not finite, no positive number of sweeps; a network that is no mlp;
// and batch norm, dropout, maxout, max-norm, low precision, float ends, penalties; a quantizer of inputs or weights
// that has no integer codes, or whose scale is not fixed; a value that is no code of the weight quantizer; an
// optimizer, a schedule, phases or a loss scale beside it. REQUIRES: recipe.has_coordinate_descent().
absl::Status CheckCoordinateDescent(const recipe::Recipe& recipe);

inline constexpr int64_t kMostDiscreteValues = 64;

// One of the numbers that are searched: a weight, or a bias.
struct Coordinate {
  int layer = 0;
  bool is_bias = false;
  int64_t unit = 0;   // output of the layer
  int64_t input = 0;  // of a weight
};

class DiscreteMlp {
 public:
  struct Units {
    std::string name;  // "hidden1"
    Parameter* weight = nullptr;
    Parameter* bias = nullptr;
    int64_t in = 0, out = 0;
    float scale = 1;    // of a sum
    int64_t bound = 0;  // of the size of any sum
    // The current values: codes [in, out], the order in which a change of an input reads them, and indices of bias
    // values [out].
    std::vector<int16_t> weights;
    std::vector<int32_t> biases;
    // Of a hidden layer, for each bias value: the code of the sums -bound, .., bound.
    std::vector<std::vector<int16_t>> codes;
  };

  // Of the recipe's model, whose parameters `store` has. Errors: those of CheckCoordinateDescent(), and InvalidArgument
  // where the sums of a layer may exceed 2^24, with the layer.
  static absl::StatusOr<std::unique_ptr<DiscreteMlp>> Create(ExecContext& context, const recipe::Recipe& recipe,
                                                             Model& model, ParameterStore& store);

  absl::Span<const Units> layers() const { return layers_; }
  Units& layer(int i) { return layers_[static_cast<size_t>(i)]; }
  absl::Span<const int32_t> values() const { return values_; }
  absl::Span<const float> bias_values() const { return bias_values_; }
  // The logit, or what the activation function gets.
  float Output(const Units& layer, int32_t sum, int32_t bias) const {
    return static_cast<float>(sum) * layer.scale + bias_values_[static_cast<size_t>(bias)];
  }

  // All weights, then all biases where they are searched, layer by layer.
  int64_t coordinates() const { return coordinates_; }
  Coordinate At(int64_t index) const;
  // How many values a coordinate may have, and the index of the one that it has.
  int Choices(const Coordinate& at) const {
    return static_cast<int>(at.is_bias ? bias_values_.size() : values_.size());
  }
  int Get(const Coordinate& at) const;
  // Sets the value here and in the parameter.
  void Set(const Coordinate& at, int choice);

  // Draws all values anew; the same for the same seed.
  void Randomize(uint64_t seed);
  // Takes the values of the parameters. FailedPrecondition, with the parameter and the number, where one is none of the
  // values.
  absl::Status ReadParameters();

  // The codes of images, [batch, features] float32 as batches have them, in the same order.
  absl::StatusOr<std::vector<int16_t>> InputCodes(const Tensor& images) const;
  // Internal error, with the first difference, unless the graph gives exactly the logits of this net for the images.
  absl::Status CheckAgainstGraph(const Tensor& images) const;
  // The logits of images whose codes these are, [batch, classes]; slow and obvious.
  std::vector<float> Logits(absl::Span<const int16_t> codes) const;

  // Bits of the information in a coordinate of the set, 2 for -1, 0, 1; and bytes that all of them take.
  int bits() const;
  int64_t bytes() const { return (coordinates_ * bits() + 7) / 8; }

 private:
  DiscreteMlp(ExecContext& context, Model& model) : context_(context), model_(model) {}
  absl::Status FillTables(Layer& activation, Layer& last_activation);

  ExecContext& context_;
  Model& model_;
  Quantizer input_, activation_quantizer_;
  std::vector<Units> layers_;
  std::vector<int32_t> values_;
  std::vector<float> latent_;  // what the parameter of a weight holds for each value
  std::vector<float> bias_values_;
  int64_t coordinates_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_DISCRETE_MLP_H_
