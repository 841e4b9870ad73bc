// StepDiagnostics: what single training steps tell: where their time and memory go, the norms of gradients, and weights
// that swing around 0.
//
// It looks at a sample, so that watching costs little: one step of an epoch is timed op by op, gradients are measured
// in every 32nd step, and signs are followed of at most 4096 weights of a layer, in blocks that lie evenly spread.

#ifndef BITGRAD_MODELS_DIAGNOSTICS_STEP_DIAGNOSTICS_H_
#define BITGRAD_MODELS_DIAGNOSTICS_STEP_DIAGNOSTICS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/diagnostics/step_timeline.h"
#include "bitgrad/models/training/step_observer.h"
#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

class StepDiagnostics final : public StepObserver {
 public:
  // A sign that changes again within so many steps has flipped back.
  static constexpr int kFlipBackSteps = 16;

  // REQUIRES: the context is of the CPU and outlives this.
  explicit StepDiagnostics(ExecContext& context) : timeline_(context) {}

  void Begin(Tape& tape) override;
  void BeforeUpdate(absl::Span<Parameter* const> parameters) override;
  void AfterUpdate(absl::Span<Parameter* const> parameters) override;

  // Sets the fields of `epoch` that tell of steps, from those since the last call.
  void FinishEpoch(diagnostics::Epoch& epoch);

 private:
  // The signs of a sample of a weight's elements.
  struct Signs {
    std::vector<int64_t> blocks;  // the first elements of blocks of kBlock
    int64_t block_size = 0;
    std::vector<uint8_t> negative;
    std::vector<uint8_t> age;  // steps since the last change, at most kFlipBackSteps + 1
    int64_t flips = 0, flips_back = 0;
  };
  struct Gradient {
    double sum_of_squares = 0;
    int64_t steps = 0;
  };
  static Signs SampleOf(const Parameter& parameter);
  static void Follow(const Parameter& parameter, Signs& signs);
  void MeasureGradients(absl::Span<Parameter* const> parameters);

  int64_t steps_ = 0;  // of the epoch, before the one at hand
  bool timed_ = false;
  StepTimeline timeline_;
  diagnostics::Epoch measured_;                // parts and totals
  std::map<std::string, Signs> signs_;         // by parameter
  std::map<std::string, Gradient> gradients_;  // by parameter
};

// The layer that a parameter is of, as metrics call it: its name without "/weight".
std::string LayerOf(const Parameter& parameter);

// The one of that name, which is added where there is none.
diagnostics::Layer& LayerIn(const std::string& name, diagnostics::Epoch& epoch);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_STEP_DIAGNOSTICS_H_
