// Pooling and flattening as layers, for Sequential. A model that has its own Forward() can call the ops themselves
// (ops/pool.h, ops/reshape.h).
//
//   net.Add<MaxPool2d>(scope / "pool1", PoolOptions{.kernel = 2, .stride = 2});

#ifndef BITGRAD_MODELS_LAYERS_POOL_H_
#define BITGRAD_MODELS_LAYERS_POOL_H_

#include <string>

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
    Tape::Layer layer(*x.tape(), path_);
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
    Tape::Layer layer(*x.tape(), path_);
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
    Tape::Layer layer(*x.tape(), path_);
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

// [N, H*W*C] -> [N, H, W, C]. Data sets give images as vectors; convolutions take them as images.
class Unflatten final : public Layer {
 public:
  explicit Unflatten(const Shape& image) : image_(image) {}
  Var operator()(const Var& x) override {
    if (x.tape() == nullptr) return Var();
    return Reshape(x, {-1, image_.dim(0), image_.dim(1), image_.dim(2)});
  }

 private:
  Shape image_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_POOL_H_
