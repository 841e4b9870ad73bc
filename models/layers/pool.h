// Pooling and flattening as layers, for Sequential. A model that has its own Forward() can call the ops themselves
// (ops/pool.h, ops/reshape.h).
//
//   net.Add<MaxPool2d>(scope / "pool1", PoolOptions{.kernel = 2, .stride = 2});

#ifndef BITGRAD_MODELS_LAYERS_POOL_H_
#define BITGRAD_MODELS_LAYERS_POOL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/pool.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {

// [N, H, W, C] -> [N, P, Q, C]
class MaxPool2d final : public Layer {
 public:
  MaxPool2d(const Scope& scope, const PoolOptions& options) : path_(scope.path()), options_(options) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    Tape::LayerScope layer(*x.tape(), path_);
    return MaxPool(x, options_);
  }

 private:
  std::string path_;
  PoolOptions options_;
};

class AvgPool2d final : public Layer {
 public:
  AvgPool2d(const Scope& scope, const PoolOptions& options) : path_(scope.path()), options_(options) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    Tape::LayerScope layer(*x.tape(), path_);
    return AveragePool(x, options_);
  }

 private:
  std::string path_;
  PoolOptions options_;
};

// [N, H, W, C] -> [N, C]
class GlobalAvgPool2d final : public Layer {
 public:
  explicit GlobalAvgPool2d(const Scope& scope) : path_(scope.path()) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    Tape::LayerScope layer(*x.tape(), path_);
    return GlobalAveragePool(x);
  }

 private:
  std::string path_;
};

// [N, ...] -> [N, product of the rest]
class FlattenLayer final : public Layer {
 public:
  Var operator()(const Var& x) override { return x.tape() == nullptr ? Var() : Flatten(x); }
};

// [N, H*W*C] -> [N, H, W, C]. Data sets give images as vectors; convolutions take them as images. Any other example's
// shape does as well: {28, 28} makes [N, 28, 28].
class Unflatten final : public Layer {
 public:
  explicit Unflatten(const Shape& example) {
    dims_.push_back(-1);
    dims_.insert(dims_.end(), example.dims().begin(), example.dims().end());
  }
  Var operator()(const Var& x) override {
    return x.tape() == nullptr ? Var() : Reshape(x, Shape(absl::MakeConstSpan(dims_)));
  }

 private:
  std::vector<int64_t> dims_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_POOL_H_
