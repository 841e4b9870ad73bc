#include "bitgrad/export/step_function.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "bitgrad/export/encoding_of_codes.h"
#include "bitgrad/export/float_order.h"

namespace bitgrad {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kMostCode = 255;  // of 8 bits

struct Column {
  std::vector<float> limits, values;
};

// As many steps in each column: what a column has less are limits that are never reached.
StepFunction Joined(const std::vector<Column>& columns) {
  StepFunction f = {.columns = static_cast<int64_t>(columns.size()), .steps = 0, .limits = {}, .values = {}};
  for (const Column& column : columns) f.steps = std::max(f.steps, static_cast<int>(column.limits.size()));
  for (int k = 0; k <= f.steps; ++k) {
    for (const Column& column : columns) {
      const size_t own = std::min(static_cast<size_t>(k), column.limits.size());
      f.values.push_back(column.values[own]);
      if (k < f.steps) f.limits.push_back(own < column.limits.size() ? column.limits[own] : kInfinity);
    }
  }
  return f;
}

}  // namespace

bool StepFunction::is_monotone() const {
  for (int64_t j = 0; j < columns; ++j) {
    bool rises = false, falls = false;
    for (int k = 0; k < steps; ++k) {
      rises |= value(k + 1, j) > value(k, j);
      falls |= value(k + 1, j) < value(k, j);
    }
    if (rises && falls) return false;
  }
  return true;
}

std::optional<StepFunction> StepsOf(int64_t columns, int most_steps, ColumnFunction g) {
  std::vector<Column> found(static_cast<size_t>(columns));
  for (int64_t j = 0; j < columns; ++j) {
    Column& column = found[j];
    const float last = g(kLargest, j);
    column.values = {g(-kLargest, j)};
    if (std::isnan(last) || std::isnan(column.values[0])) return std::nullopt;
    for (float below = -kLargest; column.values.back() != last; below = column.limits.back()) {
      if (static_cast<int>(column.limits.size()) == most_steps) return std::nullopt;
      const float value = column.values.back();
      column.limits.push_back(LeastFloat(below, kLargest, [&](float x) { return g(x, j) != value; }));
      column.values.push_back(g(column.limits.back(), j));
    }
  }
  return Joined(found);
}

StepFunction StepsOfValues(const std::vector<float>& values) {
  return {.columns = 1,
          .steps = static_cast<int>(values.size()) - 1,
          .limits = {values.begin() + 1, values.end()},
          .values = values};
}

StepFunction Mapped(const StepFunction& f, int64_t columns, ColumnFunction g) {
  StepFunction y = {.columns = std::max(f.columns, columns), .steps = f.steps, .limits = {}, .values = {}};
  for (int k = 0; k <= f.steps; ++k) {
    for (int64_t j = 0; j < y.columns; ++j) {
      y.values.push_back(g(f.value(k, j), j));
      if (k < f.steps) y.limits.push_back(f.limit(k, j));
    }
  }
  return y;
}

StepFunction Merged(const StepFunction& a, const StepFunction& b, absl::FunctionRef<float(float, float)> g) {
  std::vector<Column> columns(static_cast<size_t>(std::max(a.columns, b.columns)));
  for (int64_t j = 0; j < static_cast<int64_t>(columns.size()); ++j) {
    Column& column = columns[j];
    int k = 0, l = 0;  // how many limits of a and b have been passed
    column.values = {g(a.value(0, j), b.value(0, j))};
    while (k < a.steps || l < b.steps) {
      const float next = std::min(k < a.steps ? a.limit(k, j) : kInfinity, l < b.steps ? b.limit(l, j) : kInfinity);
      while (k < a.steps && a.limit(k, j) <= next) ++k;
      while (l < b.steps && b.limit(l, j) <= next) ++l;
      if (next == kInfinity) break;
      column.limits.push_back(next);
      column.values.push_back(g(a.value(k, j), b.value(l, j)));
    }
  }
  return Joined(columns);
}

StepFunction Reduced(const StepFunction& f) {
  std::vector<Column> columns(static_cast<size_t>(f.columns));
  for (int64_t j = 0; j < f.columns; ++j) {
    Column& column = columns[j];
    column.values = {f.value(0, j)};
    for (int k = 0; k < f.steps; ++k) {
      // Of limits that are passed at once the last value counts.
      if (k + 1 < f.steps && f.limit(k + 1, j) == f.limit(k, j)) continue;
      if (f.limit(k, j) == kInfinity || f.value(k + 1, j) == column.values.back()) continue;
      column.limits.push_back(f.limit(k, j));
      column.values.push_back(f.value(k + 1, j));
    }
  }
  const bool alike = std::all_of(columns.begin(), columns.end(), [&](const Column& column) {
    return column.limits == columns[0].limits && column.values == columns[0].values;
  });
  if (alike) columns.resize(1);
  return Joined(columns);
}

std::optional<StepCodes> CodesOfSteps(const StepFunction& f) {
  const std::set<float> distinct(f.values.begin(), f.values.end());
  float gap = kInfinity;
  for (auto next = distinct.begin(), v = next++; next != distinct.end(); v = next++) gap = std::min(gap, *next - *v);
  if (distinct.size() < 2 || !std::isfinite(gap)) return std::nullopt;
  const float largest = std::max(-*distinct.begin(), *distinct.rbegin());
  // Neighbors are one code apart or, of odd codes alone, two.
  for (const float about : {gap, 0.5f * gap}) {
    const float most = std::nearbyint(largest / about);
    if (most > kMostCode) continue;
    // Values are rounded products with the scale, so that a quotient may be off by the last bits.
    for (const int64_t near : {0, 1, -1, 2, -2}) {
      StepCodes result = {.encoding = {}, .scale = NthFloat(FloatNumber(largest / most) + near), .codes = {}};
      const bool all = std::all_of(f.values.begin(), f.values.end(), [&](float v) {
        const float code = std::nearbyint(v / result.scale);
        result.codes.push_back(static_cast<int32_t>(code));
        return code * result.scale == v;
      });
      if (!all) continue;
      result.encoding = EncodingOfCodes(result.codes);
      if (result.encoding.is_integer()) return result;
    }
  }
  return std::nullopt;
}

}  // namespace bitgrad
