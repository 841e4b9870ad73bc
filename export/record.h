// The first pass: a recorded evaluation becomes a program.

#ifndef BITGRAD_EXPORT_RECORD_H_
#define BITGRAD_EXPORT_RECORD_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/program.h"
#include "bitgrad/graph/tape.h"

namespace bitgrad {

// Keeps, while a tape records, what the tape drops: which values are codes, and the values that depend on no input, as
// the ops have computed them.
//
//   const Var input = tape.Input(example);
//   Recorder recorder(tape, input);
//   const Var output = model.Forward(input);
//   BITGRAD_ASSIGN_OR_RETURN(program::Program program, recorder.Finish(output));
class Recorder {
 public:
  // Takes the tape's op listener. REQUIRES: the tape is of an evaluation and outlives this; nothing has been recorded
  // but `input`.
  Recorder(Tape& tape, const Var& input);
  ~Recorder();
  Recorder(const Recorder&) = delete;

  // The program that computes `output`, and the next values of the states that it depends on, with everything that is
  // known copied to the host. InvalidArgument where a parameter or constant is not finite, `output` does not depend on
  // the input, or a state has no next value.
  absl::StatusOr<program::Program> Finish(const Var& output);

 private:
  struct Known {
    Tensor floats;
    std::shared_ptr<const CodedTensor> coded;
  };
  // Keeps what is to be known of the node that was recorded last.
  void Keep(int32_t last);
  // Whether a node without operands has another value with each run: the input, and states.
  bool varies(int node) const;
  // The nodes that `output` depends on, in this time step or a later one.
  absl::StatusOr<std::vector<bool>> UsedBy(int output) const;

  Tape& tape_;
  const int input_;
  std::map<int, Encoding> encodings_;  // of nodes whose values are codes
  std::map<int, Known> known_;         // of nodes that depend on no input and are no leaves
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_RECORD_H_
