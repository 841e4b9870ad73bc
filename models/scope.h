// ParameterStore owns a model's parameters; a Scope gives them their names while layers are built.
//
//   ParameterStore store(/*seed=*/1);
//   TinyNet net(store.Root());               // layers register "fc1/weight", "bn1/gamma", ...
//   BITGRAD_RETURN_IF_ERROR(store.status()); // the first error of construction
//   optimizer->Step(store.parameters());

#ifndef BITGRAD_MODELS_SCOPE_H_
#define BITGRAD_MODELS_SCOPE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/models/scheduled_scalar.h"

namespace bitgrad {

class Scope;

class ParameterStore {
 public:
  // Initial values depend on the seed and on the order in which parameters are made, and on nothing else.
  explicit ParameterStore(uint64_t seed) : seed_(seed) {}
  // A store whose parameters get no memory and have no elements: for how large a model will be. Its model cannot be
  // run.
  struct MeasuresOnly {};
  explicit ParameterStore(MeasuresOnly) : measures_only_(true) {}
  // A store whose parameters take over the values of another store's, which they share: for a model that continues
  // another one with other options. A parameter that the other store does not have, in this shape, is an error of the
  // store. REQUIRES: `before` outlives the making of the model.
  struct Continues {
    const ParameterStore& before;
  };
  explicit ParameterStore(const Continues& other) : before_(&other.before) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  Scope Root();
  absl::Span<Parameter* const> parameters() const { return parameters_; }
  // The parameter of that name, null if there is none.
  Parameter* Find(absl::string_view name) const;
  // How many numbers the model learns: the elements of all trainable parameters.
  int64_t trainable_elements() const;

  // Is asked about every parameter before memory is taken for it: whether the model may have a parameter of this name
  // and shape. An error becomes that of the store, and no further parameter gets memory.
  using ParameterCheck = std::function<absl::Status(absl::string_view name, const Shape& shape)>;
  void set_parameter_check(ParameterCheck check) { parameter_check_ = std::move(check); }
  // Of a store that measures only: the elements that its parameters would have.
  struct Elements {
    int64_t all = 0, trainable = 0;
  };
  Elements measured() const;
  // The same for each parameter, in the order of parameters().
  absl::Span<const int64_t> measured_elements() const { return measured_; }

  // A number that changes in the course of training (scheduled_scalar.h).
  struct ScheduledScalar {
    Parameter* parameter;  // its value
    ScalarSchedule schedule;
  };
  absl::Span<const ScheduledScalar> scalars() const { return scalars_; }
  // Gives all scalars their values of this time. The parameters are on the context's device.
  void SetScalars(ExecContext& context, const TrainingTime& time);

  // The number of the NormEstimation that is going on; 0: none.
  int64_t norm_estimation() const { return norm_estimation_; }

  // The first error that a layer's constructor has reported (a size that makes no sense, a name used twice); OK if none
  // has. A model whose store has an error must not be used.
  const absl::Status& status() const { return status_; }
  // Keeps the error, unless there is one already.
  void ReportError(const absl::Status& error) {
    if (status_.ok()) status_ = error;
  }

 private:
  friend class NormEstimation;
  friend class Scope;
  uint64_t seed_ = 0;
  bool measures_only_ = false;
  const ParameterStore* before_ = nullptr;  // whose values are taken over
  std::vector<int64_t> measured_;           // of each parameter, where it measures only
  std::vector<std::unique_ptr<Parameter>> owned_;
  std::vector<Parameter*> parameters_;
  std::vector<ScheduledScalar> scalars_;
  int64_t elements_ = 0;  // of all parameters
  ParameterCheck parameter_check_;
  int64_t norm_estimation_ = 0, norm_estimations_ = 0;
  absl::Status status_;
};

// As long as this lives, evaluations of the store's model estimate the running statistics of its batch norms anew: each
// batch norm normalizes by the batch that it is given, and its running statistics become the averages over all batches
// since the beginning (ops/batch_norm_estimation.h). One at a time.
class NormEstimation {
 public:
  explicit NormEstimation(ParameterStore& store) : store_(store) { store.norm_estimation_ = ++store.norm_estimations_; }
  ~NormEstimation() { store_.norm_estimation_ = 0; }
  NormEstimation(const NormEstimation&) = delete;
  NormEstimation& operator=(const NormEstimation&) = delete;

 private:
  ParameterStore& store_;
};

// The distribution of a parameter's initial values: each element is drawn from the seed, uniformly in [low, high).
// Where low and high are equal every element has that value. The elements [part_begin, part_end) have the value `part`
// instead: the biases of one gate.
struct Initializer {
  float low = 0;
  float high = 0;
  int64_t part_begin = 0, part_end = 0;
  float part = 0;
  static Initializer Constant(float value) { return {value, value}; }
  static Initializer Uniform(float bound) { return {-bound, bound}; }
  Initializer WithPart(int64_t begin, int64_t end, float value) const { return {low, high, begin, end, value}; }
};

// A path within a store, "hidden1/norm", below which a layer makes its parameters. Scopes are values and can be copied.
// REQUIRES: the store outlives them.
class Scope {
 public:
  Scope(ParameterStore& store, std::string path) : store_(&store), path_(std::move(path)) {}

  // The path "path/name".
  Scope operator/(absl::string_view name) const;
  const std::string& path() const { return path_; }
  ParameterStore& store() const { return *store_; }

  // Makes the parameter "path/name" with initial values. Where the name exists already, or the shape is invalid or too
  // large for memory, the store keeps the error. From the first error on parameters are empty, so that constructors can
  // go on without asking, and no memory is taken for a model that will not be used.
  Parameter& NewParameter(absl::string_view name, const Shape& shape, const Initializer& init) const;
  // The same for a parameter whose value the first batch of a training gives (Parameter::is_set).
  Parameter& NewUnsetParameter(absl::string_view name, const Shape& shape) const;
  // Makes the parameter "path/name", one number [] that is not trainable and whose value follows the schedule. Where
  // the schedule cannot be followed, the store keeps the error.
  Parameter& NewScalar(absl::string_view name, const ScalarSchedule& schedule) const;
  // Reports InvalidArgument "layer 'path': message".
  void ReportError(absl::string_view message) const;

 private:
  ParameterStore* store_;
  std::string path_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_SCOPE_H_
