// StepFunction: a function of single floats that has few values, each between two limits,
//
//   f(x) = values[k],  k = #{l : x >= limits[l]}
//
// with limits and values of their own for each column (the last dimension of what it is applied to), or one for all.
// Whatever is made of comparisons and roundings of one value is such a function: sums of them, choices between them,
// what is computed of their values.

#ifndef BITGRAD_EXPORT_STEP_FUNCTION_H_
#define BITGRAD_EXPORT_STEP_FUNCTION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "bitgrad/core/encoding.h"

namespace bitgrad {

struct StepFunction {
  int64_t columns = 1;  // 1: alike for all
  int steps = 0;
  std::vector<float> limits;  // [steps, columns], ascending in each column; infinity: never reached
  std::vector<float> values;  // [steps + 1, columns]

  float limit(int l, int64_t j) const { return limits[l * columns + (columns == 1 ? 0 : j)]; }
  float value(int k, int64_t j) const { return values[k * columns + (columns == 1 ? 0 : j)]; }
  // Whether each column's values never fall, or never rise.
  bool is_monotone() const;
};

// A function of x in column j.
using ColumnFunction = absl::FunctionRef<float(float x, int64_t j)>;

// The limits of g, found by bisection over all floats. None where a column has more than most_steps of them, or a value
// that is no number. REQUIRES: g is monotone in x, up or down.
std::optional<StepFunction> StepsOf(int64_t columns, int most_steps, ColumnFunction g);

// The identity on these numbers, which ascend.
StepFunction StepsOfValues(const std::vector<float>& values);

// g(f(x)). `columns` are those of g.
StepFunction Mapped(const StepFunction& f, int64_t columns, ColumnFunction g);

// g(a(x), b(x)). Columns are 1 or the same number.
StepFunction Merged(const StepFunction& a, const StepFunction& b, absl::FunctionRef<float(float, float)> g);

// The same function, without limits at which no column changes, and of one column where all are alike.
StepFunction Reduced(const StepFunction& f);

// What integers the values are multiples of one number of: values[i] = codes[i] * scale.
struct StepCodes {
  Encoding encoding;  // of the fewest bits that has all codes
  float scale = 1;
  std::vector<int32_t> codes;  // as values
};
// None where the values have no such number, or codes need more than 8 bits.
std::optional<StepCodes> CodesOfSteps(const StepFunction& f);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_STEP_FUNCTION_H_
