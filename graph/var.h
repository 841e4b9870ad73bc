// Var: a handle to a value on a tape. Cheap to copy. While a Var names a value, the tape keeps that value.

#ifndef BITGRAD_GRAPH_VAR_H_
#define BITGRAD_GRAPH_VAR_H_

#include <cstdint>

#include "bitgrad/core/shape.h"

namespace bitgrad {

class Tape;

class Var {
 public:
  // Names no value. An op that is given such a Var reports an error on the tape of another operand, if there is one.
  Var() = default;
  Var(const Var& other);
  Var(Var&& other) noexcept;
  Var& operator=(Var other) noexcept;
  ~Var();

  // The tape, or null for a Var that is default-constructed or outlived its tape.
  Tape* tape() const;
  // The shape of the value; of a failed op: [0].
  const Shape& shape() const;
  int32_t index() const { return index_; }

 private:
  friend class Tape;
  Var(void* core, int32_t index, uint32_t generation);
  void* core_ = nullptr;  // Tape::Core
  int32_t index_ = -1;
  uint32_t generation_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_VAR_H_
