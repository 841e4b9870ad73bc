// StepReport: what an optimizer's step reads and writes in the memory of the device beside parameters and gradients. It
// is one block, so that the host reads all of it at once.

#ifndef BITGRAD_OPTIM_STEP_REPORT_H_
#define BITGRAD_OPTIM_STEP_REPORT_H_

#include <cstddef>
#include <cstdint>

#include "bitgrad/core/device_array.h"
#include "bitgrad/ops/kernels/optimizer_step.h"

namespace bitgrad {

// The block: StepScalars, padded to 16 bytes; the sum of the squared gradients of each parameter, as doubles;
// StepCounts of each parameter.
class StepReport {
 public:
  StepReport(ExecContext& context, int64_t parameters)
      : parameters_(parameters), block_(context, static_cast<int64_t>(BytesFor(parameters))) {}

  static size_t BytesFor(int64_t parameters) {
    return kHeader + static_cast<size_t>(parameters) * (sizeof(double) + sizeof(StepCounts));
  }
  size_t bytes() const { return BytesFor(parameters_); }
  int64_t parameters() const { return parameters_; }

  // Pointers into the device's memory.
  void* block() { return block_.data(); }
  StepScalars* scalars() { return reinterpret_cast<StepScalars*>(block_.data()); }
  double* squares() { return reinterpret_cast<double*>(block_.data() + kHeader); }
  StepCounts* counts() { return reinterpret_cast<StepCounts*>(squares() + parameters_); }

  // Pointers into a copy of the block in the host's memory.
  struct Host {
    const StepScalars* scalars;
    const double* squares;
    const StepCounts* counts;
  };
  Host Read(const void* copy) const {
    const char* const bytes = static_cast<const char*>(copy);
    const auto* const squares = reinterpret_cast<const double*>(bytes + kHeader);
    return {reinterpret_cast<const StepScalars*>(bytes), squares,
            reinterpret_cast<const StepCounts*>(squares + parameters_)};
  }

 private:
  static constexpr size_t kHeader = 16;
  static_assert(sizeof(StepScalars) <= kHeader);
  const int64_t parameters_;
  DeviceArray<char> block_;
};

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_STEP_REPORT_H_
