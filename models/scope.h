// ParameterStore owns a model's parameters; a Scope gives them their names while layers are built.
//
//   ParameterStore store(/*seed=*/1);
//   TinyNet net(store.Root());               // layers register "fc1/weight", "bn1/gamma", ...
//   BITGRAD_RETURN_IF_ERROR(store.status()); // the first error of construction
//   optimizer->Step(store.parameters());

#ifndef BITGRAD_MODELS_SCOPE_H_
#define BITGRAD_MODELS_SCOPE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/graph/parameter.h"

namespace bitgrad {

class Scope;

class ParameterStore {
 public:
  // Initial values depend on the seed and on the order in which parameters are made, and on nothing else.
  explicit ParameterStore(uint64_t seed) : seed_(seed) {}
  ParameterStore(const ParameterStore&) = delete;
  ParameterStore& operator=(const ParameterStore&) = delete;

  Scope Root();
  absl::Span<Parameter* const> parameters() const { return parameters_; }
  // The parameter of that name, null if there is none.
  Parameter* Find(absl::string_view name) const;
  // How many numbers the model learns: the elements of all trainable parameters.
  int64_t trainable_elements() const;

  // The first error that a layer's constructor has reported (a size that makes no sense, a name used twice); OK if none
  // has. A model whose store has an error must not be used.
  const absl::Status& status() const { return status_; }
  // Keeps the error, unless there is one already.
  void ReportError(const absl::Status& error) {
    if (status_.ok()) status_ = error;
  }

 private:
  friend class Scope;
  uint64_t seed_;
  std::vector<std::unique_ptr<Parameter>> owned_;
  std::vector<Parameter*> parameters_;
  int64_t elements_ = 0;  // of all parameters
  absl::Status status_;
};

// The distribution of a parameter's initial values: each element is drawn from the seed, uniformly in [low, high).
// Where low and high are equal every element has that value.
struct Initializer {
  float low = 0;
  float high = 0;
  static Initializer Constant(float value) { return {value, value}; }
  static Initializer Uniform(float bound) { return {-bound, bound}; }
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
  // Reports InvalidArgument "layer 'path': message".
  void ReportError(absl::string_view message) const;

 private:
  ParameterStore* store_;
  std::string path_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_SCOPE_H_
