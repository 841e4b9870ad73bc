// Program: a recorded evaluation in static single assignment form, which the passes of Freeze() rewrite until it is
// what a packed model runs.
//
//   record           a tape becomes a program (export/record.h)
//   fold constants   what depends on no input becomes a constant (export/fold_constants.h)
//   quantize tables  quantizers of rows of a table become ones of the table (export/quantize_tables.h)
//   fold thresholds  chains behind exact sums become integer thresholds (export/fold_thresholds.h)
//   emit             the program becomes a packed model (export/emit.h)
//
// Value i is made by operation i from values before it; only constants may come later. A pass may change operations in
// place, as long as that stays so. What no result depends on any more stays in the list, unused.
//
// A program of tokens is one time step of a batch of streams. What it carries to the next one are its states: values
// that a State operation begins with, and those that take their place.

#ifndef BITGRAD_EXPORT_PROGRAM_H_
#define BITGRAD_EXPORT_PROGRAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/step_function.h"
#include "bitgrad/export/threshold.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/elementwise.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad::program {

// ---- Operations. Their operands are listed where they are not one x.

struct Input {};
// A number, vector or tensor that is the same for every example: of parameters, or folded. No operands.
struct Constant {
  std::string name;  // for people: "fc1/weight"
  bool is_parameter = false;
  // False of a number that a quantizer has not learned yet: the first batch of a training would give it.
  bool is_set = true;
};
// Operands: x, and those of the quantizer's numbers that it has: the variable, the learned scale, the statistic.
struct Quantize {
  Quantizer quantizer;
  // Which operand it is; -1: none.
  int variable = -1, scale = -1, statistic = -1;
};
// A quantizer that is given by its limits, as imported graphs spell one out (export/import_steps.h). It becomes a
// Compare or, where its operand is no exact sum, value `otherwise` takes its place, which has the same codes.
struct Steps {
  std::shared_ptr<const StepFunction> function;
  int otherwise = -1;
};
struct Linear {};  // x, w
struct Conv2d {    // x, w
  ConvGeometry geometry;
};
// A linear, conv2d or average_pool whose sums are compared instead of scaled. It is the only one that reads them.
struct Compare {
  Thresholds thresholds;
};
struct MaxPool {
  PoolGeometry geometry;       // the image's extents are not set
  std::vector<uint8_t> flips;  // of codes, of each channel; empty: none
};
struct AveragePool {
  PoolGeometry geometry;  // as in MaxPool
};
struct BatchNorm {};  // x, mean, inv_std, gamma, beta
struct UnaryOp {
  Unary op;
  float parameter = 0;
};
struct Spline {  // x, coefficients
  float range = 0;
};
struct Round {
  NumberFormat format;  // not a dynamic one: the range is fixed once training is over
};
struct BinaryOp {  // a, b
  Binary op;
};
struct Concat {};  // any number
struct Reshape {};
struct Embedding {};  // tokens, table
struct SliceColumns {
  int64_t begin = 0, size = 0;
};
// What the time step before has left. No operands.
struct State {
  int slot;  // of Program::states()
};
// An op that packed models do not have.
struct Other {};

using Operation =
    std::variant<Input, Constant, Quantize, Steps, Linear, Conv2d, Compare, MaxPool, AveragePool, BatchNorm, UnaryOp,
                 Spline, Round, BinaryOp, Concat, Reshape, Embedding, SliceColumns, State, Other>;

struct StateSlot {
  std::string name;  // "lstm1/h"
  int initial;       // the value of the State operation
  int next;          // the value that the next time step begins with
};

struct Value {
  Operation operation;
  std::vector<int> operands;
  std::string op;     // the name of the recorded op, for errors: "linear"
  std::string layer;  // the path of the layer, for people
  // With the batch as the first dimension, unless the value depends on no input.
  Shape shape;
  // Of its codes; kFloat where it is floats. `scale` is that of codes that depend on an input: value = code * scale.
  Encoding encoding;
  float scale = 1;
  // In the host's memory, where it is known because it depends on no input: floats, or codes.
  Tensor floats;
  std::shared_ptr<const CodedTensor> coded;

  bool is_coded() const { return encoding.is_integer(); }
  bool is_known() const { return !floats.is_null() || coded != nullptr; }
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&operation);
  }
};

class Program {
 public:
  int Add(Value value) {
    values_.push_back(std::move(value));
    return size() - 1;
  }
  int size() const { return static_cast<int>(values_.size()); }
  const Value& value(int i) const { return values_[i]; }
  Value& value(int i) { return values_[i]; }
  const Value& operand(int i, int k) const { return values_[values_[i].operands[k]]; }

  int result() const { return result_; }
  void set_result(int i) { result_ = i; }

  const std::vector<StateSlot>& states() const { return states_; }
  void AddState(StateSlot slot) { states_.push_back(std::move(slot)); }

  // Whether the value is read by whoever runs the program: the result, and the next values of states.
  bool is_output(int i) const;

  bool is_constant(int i) const { return values_[i].as<Constant>() != nullptr; }
  bool is_product(int i) const { return values_[i].as<Linear>() != nullptr || values_[i].as<Conv2d>() != nullptr; }

  // Makes everybody who reads value `from` read value `to`. REQUIRES: `to` is made before them.
  void Redirect(int from, int to);

 private:
  std::vector<Value> values_;
  std::vector<StateSlot> states_;
  int result_ = -1;
};

// Who uses what. Does not follow later changes of the program.
class Uses {
 public:
  explicit Uses(const Program& program);
  // Whether a result depends on the value, of this time step or of a later one.
  bool is_used(int i) const { return used_[i]; }
  // Used values that have value i as an operand; one that has it twice is listed twice.
  const std::vector<int>& consumers(int i) const { return consumers_[i]; }

 private:
  std::vector<bool> used_;
  std::vector<std::vector<int>> consumers_;
};

}  // namespace bitgrad::program

#endif  // BITGRAD_EXPORT_PROGRAM_H_
