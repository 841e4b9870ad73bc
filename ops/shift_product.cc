#include "bitgrad/ops/shift_product.h"

#include "bitgrad/ops/cpu/shift_product_cpu.h"

namespace bitgrad {

absl::Status ShiftProductStatus(Device device) {
  if (device == Device::kCpu) return absl::OkStatus();
  return absl::UnimplementedError(
      "products of fixed-point codes (requantize, shift_add, shift_concat, fixed_point) run on the CPU only; use "
      "--device=cpu");
}

void RunShiftProduct(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                     const ShiftOutput& out) {
  if (const absl::Status status = ShiftProductStatus(context.device()); !status.ok()) {
    return context.ReportError(status);
  }
  cpu::ShiftProduct(context, filters, batch, x, out);
}

}  // namespace bitgrad
