// max_pool and average_pool.

#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/product_arrays.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Instruction;

void EmitMax(CEmitter& c, int i, const PoolGeometry& geometry, const std::string& window) {
  const packed::Pool& pool = c.model().header().instructions(i).max_pool();
  const int operand = c.model().header().instructions(i).operands(0);
  const PackedValue& x = c.model().value(operand);
  if (!x.is_coded()) {
    const std::string from = c.Use(operand, Form::kFloats);
    return c.Call("max_floats", absl::StrCat("&", window, ", ", from, ", ", c.Make(i + 1, Form::kFloats)));
  }
  const std::string flips = pool.has_flips() ? c.Flags(pool.flips(), "flips") : "0";
  if (x.is_bits()) {
    const std::string from = c.Use(operand, Form::kBits), to = c.Make(i + 1, Form::kBits);
    const std::string row = c.Temporary("uint32_t", "row", (geometry.channels + 31) / 32);
    return c.Call("max_bits", absl::StrCat("&", window, ", ", flips, ", ", from, ", ", row, ", ", to));
  }
  const std::string from = c.Use(operand, Form::kCodes);
  c.Call("max_codes", absl::StrCat("&", window, ", ", x.encoding.largest_stored(), ", ", flips, ", ", from, ", ",
                                   c.Make(i + 1, Form::kCodes)));
}

// Of codes whose sums are exact.
void EmitAverageOfCodes(CEmitter& c, int i, const PoolGeometry& geometry, const std::string& window) {
  const packed::Pool& pool = c.model().header().instructions(i).average_pool();
  const int operand = c.model().header().instructions(i).operands(0);
  const PackedValue &x = c.model().value(operand), &y = c.model().value(i + 1);
  const int64_t n = geometry.channels;
  const std::string from = c.Use(operand, Form::kCodes);
  const std::string sums = c.Temporary("int32_t", "sums", n);
  std::string sum;
  if (x.encoding.is_affine()) {
    c.Kernel("window_sums");
    sum = absl::StrCat("net_window_sums(&", window, ", ", x.encoding.least_code(), ", ", x.encoding.code_step(), ", ",
                       from, ", ");
  } else {
    std::vector<int32_t> codes;
    for (int64_t stored = 0; stored <= x.encoding.largest_stored(); ++stored) {
      codes.push_back(static_cast<int32_t>(x.encoding.code(stored)));
    }
    c.Kernel("log_window_sums");
    sum = absl::StrCat("net_log_window_sums(&", window, ", ",
                       c.arrays().Add(c.layer() + "_code_of", c.layer() + ": codes", absl::MakeConstSpan(codes)), ", ",
                       from, ", ");
  }
  const auto pixels = [&](const auto& output) {
    c.BeginPixels(geometry.out_height(), geometry.out_width());
    output(absl::StrCat(sum, c.Pixel(), ", ", sums, ")"));
    c.EndPixels();
  };
  if (pool.has_requantize()) {
    const Encoding& encoding = y.encoding;
    const std::string to = c.Make(i + 1, Form::kCodes);
    return pixels([&](const std::string& call) {
      c.Line(absl::StrCat("(void)", call, ";"));
      c.Call("requantize", absl::StrCat(n, ", ", pool.requantize().shift(), ", ", encoding.least_code(), ", ",
                                        encoding.code(encoding.largest_stored()), ", ", sums, ", ", c.Row(to, n)));
    });
  }
  if (!pool.has_threshold()) {
    const std::string to = c.Make(i + 1, Form::kFloats);
    c.Kernel("scale");
    return pixels([&](const std::string& call) {
      c.Line(absl::StrCat("count = ", call, ";"));
      c.Line(absl::StrCat("net_scale(", n, ", ", FloatLiteral(x.scale), " / (float)count, ", sums, ", ", c.Row(to, n),
                          ");"));
    });
  }
  const std::string thresholds = c.Ints(pool.threshold().thresholds(), "thresholds");
  const std::string flips = c.Flags(pool.threshold().flips(), "flips");
  const std::string to = c.Make(i + 1, y.is_bits() ? Form::kBits : Form::kCodes);
  pixels([&](const std::string& call) {
    c.Line(absl::StrCat("(void)", call, ";"));
    if (y.is_bits()) {
      const std::string at = c.Times(n);
      c.Call("threshold_bits",
             absl::StrCat(n, ", ", thresholds, ", ", flips, ", ", sums, ", ", to, ", ", at.empty() ? "0" : at));
    } else {
      c.Call("threshold_codes", absl::StrCat(n, ", ", y.encoding.largest_stored(), ", ", thresholds, ", ", flips, ", ",
                                             sums, ", ", c.Row(to, n)));
    }
  });
}

}  // namespace

absl::Status EmitPool(CEmitter& c, int i) {
  const Instruction& instruction = c.model().header().instructions(i);
  const bool is_max = instruction.has_max_pool();
  const int operand = instruction.operands(0);
  const PackedValue &x = c.model().value(operand), &y = c.model().value(i + 1);
  // The program has been checked, so its geometry is valid.
  const PoolGeometry geometry = *GeometryOf(is_max ? instruction.max_pool() : instruction.average_pool(), x.example);
  c.Begin(i,
          absl::StrCat(is_max ? "largest" : "average", " of windows of ", geometry.kernel_height, "x",
                       geometry.kernel_width, ", ", ShapeText(x), " -> ", ShapeText(y), " ", EncodingText(y.encoding)));
  c.Kernel("conv");
  const std::string window = ShapeArray(c, geometry);
  if (is_max) {
    EmitMax(c, i, geometry, window);
  } else if (instruction.average_pool().has_requantize() || SumIsExact(x.encoding, geometry)) {
    EmitAverageOfCodes(c, i, geometry, window);
  } else {
    const std::string from = c.Use(operand, Form::kFloats);
    c.Call("average_floats", absl::StrCat("&", window, ", ", from, ", ", c.Make(i + 1, Form::kFloats)));
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
