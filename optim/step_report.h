// StepReport: what an optimizer's step reads and writes in the memory of the device beside parameters and gradients. It
// is one block, so that the host reads all of it at once.

#ifndef BITGRAD_OPTIM_STEP_REPORT_H_
#define BITGRAD_OPTIM_STEP_REPORT_H_

#include <cstddef>
#include <cstdint>

#include "bitgrad/core/device_array.h"
#include "bitgrad/ops/kernels/optimizer_step.h"

namespace bitgrad {

// The block: StepScalars; the numbers of each update rule; the sum of the squared gradients of each parameter, as
// doubles; StepCounts of each parameter.
class StepReport {
 public:
  static constexpr int kMostRules = 4;

  StepReport(ExecContext& context, int64_t parameters)
      : parameters_(parameters), block_(context, static_cast<int64_t>(BytesFor(parameters))) {}

  static size_t BytesFor(int64_t parameters) {
    return sizeof(Header) + static_cast<size_t>(parameters) * (sizeof(double) + sizeof(StepCounts));
  }
  size_t bytes() const { return BytesFor(parameters_); }
  int64_t parameters() const { return parameters_; }

  // Pointers into the device's memory.
  void* block() { return block_.data(); }
  StepScalars* scalars() { return &reinterpret_cast<Header*>(block_.data())->scalars; }
  RuleNumbers* numbers() { return reinterpret_cast<Header*>(block_.data())->numbers; }
  double* squares() { return reinterpret_cast<double*>(block_.data() + sizeof(Header)); }
  StepCounts* counts() { return reinterpret_cast<StepCounts*>(squares() + parameters_); }

  // Pointers into a copy of the block in the host's memory.
  struct Host {
    const StepScalars* scalars;
    const double* squares;
    const StepCounts* counts;
  };
  Host Read(const void* copy) const {
    const char* const bytes = static_cast<const char*>(copy);
    const auto* const squares = reinterpret_cast<const double*>(bytes + sizeof(Header));
    return {reinterpret_cast<const StepScalars*>(bytes), squares,
            reinterpret_cast<const StepCounts*>(squares + parameters_)};
  }

 private:
  struct alignas(double) Header {
    StepScalars scalars;
    RuleNumbers numbers[kMostRules];
  };
  const int64_t parameters_;
  DeviceArray<char> block_;
};

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_STEP_REPORT_H_
