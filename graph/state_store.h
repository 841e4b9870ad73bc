// StateStore: what a recurrent model carries from one tape to the next: the hidden state at the end of a piece of a
// text is that at the beginning of the next piece. It lives beside the model and outlives every tape.
//
//   StateStore states(context);
//   for (const Batch& batch : batches) {
//     if (batch.index == 0) states.Reset();
//     Tape tape(context);
//     tape.set_states(&states);
//     ... the layers read Tape::State() and leave Tape::SetNextState() ...
//     BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
//     BITGRAD_RETURN_IF_ERROR(states.Commit());
//   }
//
// A state is a matrix [streams, width]: one row for each of the texts that a batch reads side by side.
//
// Each state has buffers of its own, which are made when it is read first and stay where they are from then on, for
// recorded work (core/recorded_work.h) holds their addresses. A step reads one, the value, and writes another one, the
// next value, so the backward functions find the value as it was. Commit() copies the next values to the values. It
// enqueues these copies by itself, in order with the steps, and is called after each step, recorded or not; it must not
// be part of what is recorded.

#ifndef BITGRAD_GRAPH_STATE_STORE_H_
#define BITGRAD_GRAPH_STATE_STORE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

struct NamedState {
  std::string name;  // "lstm1/h"
  Tensor value;      // [streams, width] float32, in the host's memory
};

class StateStore {
 public:
  // How many of the Commit()s before Restore() can undo: a training step on a GPU is found to have diverged only when
  // the next one has been enqueued.
  static constexpr int kKept = 2;

  // The context outlives the store, and tapes that use the store are of it.
  explicit StateStore(ExecContext& context) : context_(context) {}
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  ExecContext& context() const { return context_; }

  // All states are zero again, those before, to which Restore() goes back, too.
  void Reset();
  // What the last tape has left becomes what the next tape reads. A state that it left nothing for keeps its value, and
  // so do the rows of streams that its batch did not have. Returns the context's status.
  absl::Status Commit();
  // Goes back to the values before the last `commits` calls of Commit(). They are then the values for good: what was
  // undone is lost, and so is what a tape has left since. REQUIRES: 1 <= commits <= kKept. Values before the store's
  // first Commit() are zeros, or what Set() has given.
  void Restore(int commits = 1);

  // Copies of all values, in the order in which they were read first, for checkpoints. Waits for the device.
  std::vector<NamedState> states() const;
  // Gives a state its value, [streams, width] float32 on the host or on the context's device; the state need not exist.
  // InvalidArgument where the tensor is something else, or of another shape than the state.
  absl::Status Set(absl::string_view name, const Tensor& value);

  // ---- For the tape -----------------------------------------------------------------------------------

  // The first shape.dim(0) rows of the state's value. A state that does not exist is made, of zeros. Not to be written
  // to. InvalidArgument where the shape is no matrix, has another width, or more streams than the state.
  absl::StatusOr<Tensor> Read(absl::string_view name, const Shape& shape);
  // Copies `next` to the first rows of the next value. REQUIRES: Read() has succeeded with this name and shape.
  void Write(absl::string_view name, const Tensor& next);

 private:
  struct Slot {
    std::string name;
    Tensor value, next;
    // The values before the last Commit()s; before[(commits_ - 1) % kKept] is that before the last one.
    Tensor before[kKept];
    // The rows of `next` that were left. It stays: a recorded step leaves them anew without telling the host.
    int64_t next_rows = 0;
  };
  Slot* Find(absl::string_view name);
  Slot& Make(absl::string_view name, const Shape& shape);
  // Copies the first rows.
  void Copy(const Tensor& from, int64_t rows, Tensor& to);

  ExecContext& context_;
  std::vector<Slot> slots_;
  int64_t commits_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_STATE_STORE_H_
