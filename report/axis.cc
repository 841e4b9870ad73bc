#include "bitgrad/report/axis.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad::report {
namespace {

constexpr double kWide = 30;
constexpr int kLinearTicks = 5;
constexpr int kDecadeTicks = 6;
// Over no more decades than this there are ticks at 2 and 5 times a power of ten, too.
constexpr double kFewDecades = 2.5;
// Differences of numbers up to here are finite.
constexpr double kMost = 1e300;
// A single number below it is shown as 0.
constexpr double kLeast = 1e-300;

// The least of 1, 2 and 5 times a power of ten that is not below x.
double RoundStep(double x) {
  const double power = std::pow(10.0, std::floor(std::log10(x)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= x * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

std::string PowerOfTen(double factor, int exponent) {
  return absl::StrCat(factor == 1 ? "10"
                                  : absl::StrFormat("%g\xC2\xB7"
                                                    "10",
                                                    factor),
                      "<tspan dy=\"-0.4em\" font-size=\"75%\">", exponent < 0 ? "\xE2\x88\x92" : "", std::abs(exponent),
                      "</tspan>");
}

// The number of a tick; `step` is the distance to the next one, which says how many digits matter.
std::string LinearLabel(double number, double step) {
  if (number == 0) return "0";
  const int exponent = static_cast<int>(std::floor(std::log10(std::fabs(number))));
  const std::string sign = number < 0 ? "\xE2\x88\x92" : "";
  if (exponent >= 6 || step < 0.9e-4) {
    const double power = std::pow(10.0, exponent);
    return absl::StrCat(sign, PowerOfTen(std::round(std::fabs(number) / power * 1000) / 1000, exponent));
  }
  const int digits = std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
  return absl::StrCat(sign, absl::StrFormat("%.*f", digits, std::fabs(number)));
}

std::string LogarithmicLabel(int factor, int exponent) {
  if (exponent >= -3 && exponent <= 4) return absl::StrFormat("%g", factor * std::pow(10.0, exponent));
  return PowerOfTen(factor, exponent);
}

}  // namespace

std::string NumberText(double number) { return absl::StrFormat("%.4g", number); }

Axis Axis::For(absl::Span<const double> numbers, const AxisOptions& options) {
  double least = std::numeric_limits<double>::infinity(), most = -least, least_positive = least;
  for (double number : numbers) {
    if (!std::isfinite(number)) continue;
    number = std::clamp(number, -kMost, kMost);
    least = std::min(least, number);
    most = std::max(most, number);
    if (number > 0) least_positive = std::min(least_positive, number);
  }
  Axis axis;
  if (least > most) {
    axis.MakeLinear(0, 1, options);
  } else if (options.may_be_logarithmic && least >= 0 && most > 0 && most / least_positive >= kWide) {
    axis.MakeLogarithmic(least_positive, most, /*has_zero=*/least == 0);
  } else {
    axis.MakeLinear(options.from_zero ? std::min(least, 0.0) : least, options.from_zero ? std::max(most, 0.0) : most,
                    options);
  }
  return axis;
}

void Axis::MakeLinear(double least, double most, const AxisOptions& options) {
  if (!(most - least > std::max(std::fabs(least), std::fabs(most)) * 1e-12)) {
    // A single number lies in the middle; 0, of numbers that are rarely negative, at the lower end.
    const double margin = std::max(std::fabs(least) * 0.1, options.whole || std::fabs(least) < kLeast ? 1.0 : 0.0);
    if (options.whole || std::fabs(least) >= kLeast) least -= margin;
    most += margin;
  }
  double step = RoundStep((most - least) / kLinearTicks);
  if (options.whole) step = std::max(step, 1.0);
  low_ = options.fitting ? least : step * std::floor(least / step + 1e-9);
  high_ = options.fitting ? most : step * std::ceil(most / step - 1e-9);
  for (double k = std::ceil(low_ / step - 1e-9); k * step <= high_ + 1e-9 * step; ++k) {
    ticks_.push_back({Place(k * step), LinearLabel(k * step, step)});
  }
}

void Axis::MakeLogarithmic(double least, double most, bool has_zero) {
  logarithmic_ = true;
  const double margin = 0.03 * (std::log10(most) - std::log10(least));  // their quotient may be infinite
  low_ = std::log10(least) - margin;
  high_ = std::log10(most) + margin;
  const double decades = high_ - low_;
  if (has_zero) {
    low_ -= std::max(0.1 * decades, margin);
    ticks_.push_back({0, "0"});
  }
  const double first = has_zero ? std::log10(least) : low_;
  const int stride = std::max(1, static_cast<int>(std::ceil(decades / kDecadeTicks)));
  for (int exponent = static_cast<int>(std::floor(low_)); exponent <= high_; ++exponent) {
    if (exponent % stride != 0) continue;
    for (const int factor : {1, 2, 5}) {
      const double logarithm = exponent + std::log10(factor);
      if (logarithm < first || logarithm > high_ || (factor != 1 && decades > kFewDecades)) continue;
      ticks_.push_back({(logarithm - low_) / (high_ - low_), LogarithmicLabel(factor, exponent)});
    }
  }
}

double Axis::Place(double number) const {
  if (logarithmic_) number = number > 0 ? std::log10(number) : low_;
  return (std::clamp(number, low_, high_) - low_) / (high_ - low_);
}

}  // namespace bitgrad::report
