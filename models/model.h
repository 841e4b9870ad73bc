// Model: what can be trained, checkpointed and frozen. Derive from it, make the layers in the constructor and apply
// them in Forward(). models/examples/train_tiny_bnn.cc has a complete model.

#ifndef BITGRAD_MODELS_MODEL_H_
#define BITGRAD_MODELS_MODEL_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

// How a number is shown to people.
enum class ValueDisplay {
  kNumber,  // 3.2, a whole number with all its digits
  kShare,   // 32.00%
  kYesNo,   // no for 0, otherwise yes
};

// A number that a model tells of itself: {"hidden1", "weight_bits", 3.2}.
struct ModelValue {
  std::string layer;  // empty: of the whole model
  std::string name;   // lower case and underscores, for "name=value"
  double value = 0;
  ValueDisplay display = ValueDisplay::kNumber;
};

class Model {
 public:
  virtual ~Model() = default;

  // Maps x [batch, features] to logits [batch, classes]. The tape of `x` decides whether this is training or
  // evaluation. Errors are those of the ops; they stay with the tape.
  virtual Var Forward(const Var& x) = 0;

  // Into how many time steps Forward() cuts an example; 1: it does not. With more, a tape of evaluation may also be
  // given one time step, x [batch, features / steps], which begins with the states that the tape before has left and
  // leaves its own (Tape::State): that is what Freeze() records.
  virtual int64_t time_steps() const { return 1; }

  // What training adds to the loss: one number of the parameters alone, such as a regularizer or the cost of bits. It
  // is recorded on the tape of a training step, after Forward(). An empty Var (the default): nothing is added.
  virtual Var Penalty(Tape& /*tape*/) { return Var(); }

  // Ends the learning of what quantizers learn: from now on bit lengths and the like are what they have become, rounded
  // to what can be frozen, and get no gradient. The parameters keep their names, shapes and `trainable`. Called when
  // the parameters have their values, once for each object: at the beginning of a training phase that says so
  // (models/recipe_phases.h), and where a model of such a phase is loaded. So a function of the parameters' values
  // that gives the same when it is applied to its own result. An error names the layer.
  virtual absl::Status Harden(ExecContext& /*context*/) { return absl::OkStatus(); }

  // With `frozen`, what follows answers as the model will once it is frozen; without, as it is trained. Returns whether
  // the two can differ: attention over taps is soft while it is trained, and frozen it keeps one tap or none
  // (models/layers/shift_attention.h). Most models answer alike, and are asked nothing more.
  virtual bool AnswerAsFrozen(bool /*frozen*/) { return false; }

  // What is said of the model before it is trained, for people, beside what it will cost once it is frozen: whole
  // lines, or nothing.
  virtual std::string Description() { return ""; }

  // What the lines of an epoch say of the model beside its errors, the same names in the same order each time. Called
  // after an epoch, when waiting for a device does not matter. The values of the whole model are also part of the
  // program's last line.
  virtual std::vector<ModelValue> Report(ExecContext& /*context*/) { return {}; }
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_MODEL_H_
