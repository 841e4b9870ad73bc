// Axis: which numbers a figure shows along a direction, where they lie, and at which round numbers its ticks are.

#ifndef BITGRAD_REPORT_AXIS_H_
#define BITGRAD_REPORT_AXIS_H_

#include <string>
#include <vector>

#include "absl/types/span.h"

namespace bitgrad::report {

struct Tick {
  double place = 0;    // as Axis::Place()
  std::string markup;  // the number, as the content of an SVG text
};

struct AxisOptions {
  // Logarithmic, where all numbers are at least 0 and the positive ones differ by a factor of 30 or more. 0 then lies
  // on the lower end, which has a tick "0".
  bool may_be_logarithmic = false;
  bool whole = false;      // ticks are whole numbers
  bool from_zero = false;  // a linear axis shows 0, too
  bool fitting = false;    // it ends where the numbers end, not at a round number beyond them
};

class Axis {
 public:
  // The axis for these numbers; those that are not finite are passed by. Where there is no number it is [0, 1].
  static Axis For(absl::Span<const double> numbers, const AxisOptions& options);

  // 0 at the lower end, 1 at the upper end. REQUIRES: the number is finite. One beyond an end is put there.
  double Place(double number) const;
  const std::vector<Tick>& ticks() const { return ticks_; }
  bool logarithmic() const { return logarithmic_; }

 private:
  void MakeLinear(double least, double most, const AxisOptions& options);
  void MakeLogarithmic(double least, double most, bool has_zero);

  bool logarithmic_ = false;
  double low_ = 0, high_ = 1;  // of the numbers or, of a logarithmic axis, of their logarithms to base 10
  std::vector<Tick> ticks_;
};

// A number for people, of up to four digits: "0.0123", "1.2e-05", "98".
std::string NumberText(double number);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_AXIS_H_
