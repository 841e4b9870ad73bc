// ParameterRestorer: lets forward and backward passes run on a model's parameters without leaving a trace.

#ifndef BITGRAD_MODELS_TRAINING_PARAMETER_RESTORER_H_
#define BITGRAD_MODELS_TRAINING_PARAMETER_RESTORER_H_

#include <memory>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"

namespace bitgrad {

// Restores, when it is destroyed, what forward and backward passes change in parameters: running statistics, first
// values, gradients and the signs that a weight carries. Weights themselves are changed by optimizers only.
class ParameterRestorer {
 public:
  ParameterRestorer(ExecContext& context, absl::Span<Parameter* const> parameters)
      : context_(context), parameters_(parameters) {
    for (Parameter* parameter : parameters) {
      Tensor& value = parameter->value;
      before_.push_back({value.Alias(), std::move(parameter->gradient), std::move(parameter->gradient_rows),
                         parameter->signs(), parameter->is_set});
      if (!parameter->trainable || !parameter->is_set) value = value.Clone(context.lasting_allocator());
    }
  }
  ParameterRestorer(const ParameterRestorer&) = delete;
  ParameterRestorer& operator=(const ParameterRestorer&) = delete;
  ~ParameterRestorer() {
    context_.Synchronize();
    for (size_t i = 0; i < before_.size(); ++i) {
      Before& before = before_[i];
      parameters_[i]->value = std::move(before.value);
      parameters_[i]->set_signs(std::move(before.signs));
      parameters_[i]->gradient = std::move(before.gradient);
      parameters_[i]->gradient_rows = std::move(before.gradient_rows);
      parameters_[i]->is_set = before.is_set;
    }
  }

 private:
  struct Before {
    Tensor value, gradient, gradient_rows;
    std::shared_ptr<const BitMatrix> signs;
    bool is_set;
  };
  ExecContext& context_;
  const absl::Span<Parameter* const> parameters_;
  std::vector<Before> before_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_PARAMETER_RESTORER_H_
