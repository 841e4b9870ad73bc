// Language modeling: at each step of a text a model is to predict the token that follows. Its loss, and its metric, is
// the negative log-likelihood of the tokens in nats,
//
//   -1/N sum_i log softmax(logits_i)[target_i]
//
// over the N predictions of a batch. The metric is shown as perplexity, its exponential, or as bits per character.
//
// The model may carry states from batch to batch (graph/state_store.h), which whoever makes the tapes gives them; they
// begin anew with the batch of index 0.

#ifndef BITGRAD_MODELS_TRAINING_LANGUAGE_MODELING_H_
#define BITGRAD_MODELS_TRAINING_LANGUAGE_MODELING_H_

#include <cstdint>
#include <memory>

#include "bitgrad/data/text.h"
#include "bitgrad/models/training/task.h"

namespace bitgrad {

struct LanguageModelingOptions {
  int64_t vocabulary = 0;  // the model gives a logit for each token
  int64_t steps = 1;       // of a full batch
  TextUnit unit = TextUnit::kWords;
  float loss_scale = 1;  // Task::loss_scale()
};

// The name of the metric.
inline constexpr char kNegativeLogLikelihood[] = "nll";

// Batches have `tokens` and `targets` [steps, streams] int32 in [0, vocabulary). The model gets the tokens and gives
// logits [steps * streams, vocabulary], rows in the order of the tokens.
std::unique_ptr<Task> LanguageModeling(const LanguageModelingOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_LANGUAGE_MODELING_H_
