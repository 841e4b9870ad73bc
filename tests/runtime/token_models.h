// Small packed models of tokens, and of examples of several time steps, with states.

#ifndef BITGRAD_TESTS_RUNTIME_TOKEN_MODELS_H_
#define BITGRAD_TESTS_RUNTIME_TOKEN_MODELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/tests/runtime/sample_models.h"

namespace bitgrad {

struct TokenModelOptions {
  Encoding table = {EncodingKind::kSymmetric, 4};  // kFloat: of whole sixteenths
  bool padded = false;                             // whether rows of codes are padded to whole lines
  bool reshaped = false;                           // whether the codes are read in rows of another length first
  std::string hidden = "k_bit(4)";                 // quantizer of h
  Encoding weights = {EncodingKind::kSymmetric, 2};
  int64_t tokens = 37, width = 70, units = 33;
};

// tokens -> a row of a table -> a recurrent cell with three states, h, c, and d, the h of the time step before ->
// logits of each token. Sums are exact, and all else is rounded once per operation, so that the answers are, too.
SampleModel TokenModel(const TokenModelOptions& options = {});

// With tables and weights of each encoding.
std::vector<SampleModel> AllTokenModels();

// Input: time steps of [width] pixels -> quantizer `input` -> the same cell -> logits after the last step. `hidden` and
// `weights` are of the options.
SampleModel TimeStepModel(int64_t time_steps, const std::string& input = "k_bit(8)",
                          const TokenModelOptions& options = {});

// With a few time steps and with one, of one number and of more; with products of bits and of codes.
std::vector<SampleModel> AllTimeStepModels();

// An LSTM as models/layers/recurrent.h makes them: k_bit(bits) or floats (bits = 0) throughout, with an output layer.
SampleModel LstmModel(int bits, int64_t tokens, int64_t width, int64_t units);

// [steps, streams] int32, the last token among them.
Tensor RandomTokens(int64_t steps, int64_t streams, int64_t tokens, uint64_t seed);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_TOKEN_MODELS_H_
