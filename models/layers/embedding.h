// EmbeddingLayer: a row of a table for each token. ids int32 [..] -> [.., width] (ops/embedding.h).
//
//   table [vocabulary, width]     uniform in [-range, range] at the beginning
//
// Rows are quantized where they are read: by the input quantizer of the layer behind.

#ifndef BITGRAD_MODELS_LAYERS_EMBEDDING_H_
#define BITGRAD_MODELS_LAYERS_EMBEDDING_H_

#include <cstdint>
#include <string>

#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/embedding.h"

namespace bitgrad {

struct EmbeddingOptions {
  int64_t vocabulary = 0;
  int64_t width = 0;
  float range = 1;
  float clip = 0;  // of the table's values after each step; 0: none
};

class EmbeddingLayer final : public Layer {
 public:
  EmbeddingLayer(const Scope& scope, const EmbeddingOptions& options)
      : path_(scope.path()),
        table_(scope.NewParameter("table", {options.vocabulary, options.width}, Initializer::Uniform(options.range))) {
    table_.decays = true;
    if (options.clip > 0) table_.ClipTo(options.clip);
  }
  Var operator()(const Var& ids) override {
    if (ids.tape() == nullptr) return Var();
    Tape::LayerScope layer(*ids.tape(), path_);
    return Embedding(ids, ids.tape()->Use(table_));
  }
  Parameter& table() const { return table_; }

 private:
  std::string path_;
  Parameter& table_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_EMBEDDING_H_
