#include "bitgrad/export/program.h"

namespace bitgrad::program {

void Program::Redirect(int from, int to) {
  for (Value& value : values_) {
    for (int& operand : value.operands) {
      if (operand == from) operand = to;
    }
  }
  if (result_ == from) result_ = to;
}

Uses::Uses(const Program& program)
    : used_(static_cast<size_t>(program.size()), false), consumers_(static_cast<size_t>(program.size())) {
  used_[program.result()] = true;
  for (int i = program.result(); i >= 0; --i) {
    if (!used_[i]) continue;
    for (const int operand : program.value(i).operands) used_[operand] = true;
  }
  for (int i = 0; i <= program.result(); ++i) {
    if (!used_[i]) continue;
    for (const int operand : program.value(i).operands) consumers_[operand].push_back(i);
  }
}

}  // namespace bitgrad::program
