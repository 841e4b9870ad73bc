#include "bitgrad/export/program.h"

#include <algorithm>

namespace bitgrad::program {

bool Program::is_output(int i) const {
  return i == result_ ||
         std::any_of(states_.begin(), states_.end(), [i](const StateSlot& state) { return state.next == i; });
}

void Program::Redirect(int from, int to) {
  for (Value& value : values_) {
    for (int& operand : value.operands) {
      if (operand == from) operand = to;
    }
  }
  for (StateSlot& state : states_) {
    if (state.next == from) state.next = to;
  }
  if (result_ == from) result_ = to;
}

Uses::Uses(const Program& program)
    : used_(static_cast<size_t>(program.size()), false), consumers_(static_cast<size_t>(program.size())) {
  used_[program.result()] = true;
  // A state that is used needs what makes its next value, which may need further states.
  for (bool changes = true; changes;) {
    changes = false;
    for (int i = program.size() - 1; i >= 0; --i) {
      if (!used_[i]) continue;
      for (const int operand : program.value(i).operands) used_[operand] = true;
    }
    for (const StateSlot& state : program.states()) {
      if (!used_[state.initial] || used_[state.next]) continue;
      used_[state.next] = changes = true;
    }
  }
  for (int i = 0; i < program.size(); ++i) {
    if (!used_[i]) continue;
    for (const int operand : program.value(i).operands) consumers_[operand].push_back(i);
  }
}

}  // namespace bitgrad::program
