#include "bitgrad/export/onnx_codes.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

struct Grid {
  int bits;
  bool is_signed;
  bool is_narrow;  // without the least number of `bits` bits
  int64_t least, most;
  float step = 1, offset = 0;
};

Grid GridOf(const Encoding& encoding) {
  const int bits = encoding.bits;
  const int64_t levels = (int64_t{1} << bits) - 1, half = int64_t{1} << (bits - 1);
  switch (encoding.kind) {
    case EncodingKind::kSymmetric: return {bits, false, false, 0, levels, 2.0f, -static_cast<float>(levels)};
    case EncodingKind::kUnsigned: return {bits, false, false, 0, levels};
    case EncodingKind::kTwosComplement: return {bits, true, false, -half, half - 1};
    // Of two bits: binary codes, which QONNX has a node of their own for, ternary ones, and powers of two.
    default: return {encoding.is_log() ? 8 : 2, true, true, -encoding.max_code(), encoding.max_code()};
  }
}

// QONNX's Quant of scale 1 and zero point 0: what is on the grid, rounded down and clipped to it.
std::string Quant(OnnxValues& values, const std::string& hint, const Grid& grid, const std::string& x) {
  OnnxGraph& graph = values.graph();
  return graph.Node("Quant", {x, graph.Scalar(1), graph.Scalar(0), graph.Scalar(static_cast<float>(grid.bits))}, hint,
                    {IntAttribute("signed", grid.is_signed), IntAttribute("narrow", grid.is_narrow),
                     StringAttribute("rounding_mode", "FLOOR")},
                    kQonnxDomain);
}

std::string BipolarQuant(OnnxValues& values, const std::string& hint, const std::string& x) {
  return values.graph().Node("BipolarQuant", {x, values.graph().Scalar(1)}, hint, {}, kQonnxDomain);
}

// Whether 8 bits hold more than the grid, so that a Clip has to say how many there are.
bool NeedsClip(const Grid& grid) { return grid.most - grid.least < 254; }

std::string Dequantize(OnnxValues& values, const std::string& hint, const Grid& grid, const std::string& bytes) {
  OnnxGraph& graph = values.graph();
  return graph.Node("DequantizeLinear", {bytes, graph.Scalar(1), graph.ByteScalar(0, grid.is_signed)}, hint);
}

// Floats on the grid, said by the dialect's nodes.
std::string SayGrid(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const Grid grid = GridOf(encoding);
  switch (values.dialect()) {
    case OnnxDialect::kPlain: return x;
    case OnnxDialect::kQonnx:
      return encoding.kind == EncodingKind::kBinary ? BipolarQuant(values, hint + "/bipolar", x)
                                                    : Quant(values, hint + "/quant", grid, x);
    case OnnxDialect::kQcdq: {
      std::string bytes =
          graph.Node("QuantizeLinear", {x, graph.Scalar(1), graph.ByteScalar(0, grid.is_signed)}, hint + "/quantized");
      if (NeedsClip(grid)) {
        bytes = graph.Node(
            "Clip", {bytes, graph.ByteScalar(grid.least, grid.is_signed), graph.ByteScalar(grid.most, grid.is_signed)},
            hint + "/clipped");
      }
      return Dequantize(values, hint + "/dequantized", grid, bytes);
    }
  }
  return x;
}

// step * grid + offset.
std::string FromGrid(OnnxValues& values, const std::string& hint, const Encoding& encoding, std::string x) {
  OnnxGraph& graph = values.graph();
  const Grid grid = GridOf(encoding);
  if (grid.step != 1) x = graph.Node("Mul", {x, graph.Scalar(grid.step)}, hint + "/doubled");
  if (grid.offset != 0) x = graph.Node("Add", {x, graph.Scalar(grid.offset)}, hint);
  return x;
}

}  // namespace

bool CanSay(OnnxDialect dialect, const Encoding& encoding) {
  switch (dialect) {
    case OnnxDialect::kPlain: return true;
    case OnnxDialect::kQonnx: return encoding.is_affine();
    case OnnxDialect::kQcdq: return encoding.is_affine() ? encoding.bits <= 8 : encoding.max_code() <= 127;
  }
  return false;
}

absl::Status CheckCanSay(const OnnxValues& values, int i, const char* what, const Encoding& encoding) {
  if (!encoding.is_integer() || CanSay(values.dialect(), encoding)) return absl::OkStatus();
  const std::string of = encoding.is_log()
                             ? absl::StrCat("powers of two up to 2^", encoding.log_codes().largest_rank() - 1)
                             : absl::StrCat("integers of ", encoding.bits, " bits");
  return values.Refuse(i, absl::StrCat(what, " are ", of), "use --dialect=plain");
}

std::string PlainConstantCodes(OnnxValues& values, const std::string& hint, std::vector<int64_t> shape,
                               absl::Span<const int64_t> codes) {
  OnnxGraph& graph = values.graph();
  // As bytes they take a quarter of the place.
  const auto [least, most] = std::minmax_element(codes.begin(), codes.end());
  if (*least >= -128 && *most <= 255 && (*least >= 0 || *most <= 127)) {
    const std::string bytes = graph.Bytes(hint + "/bytes", shape, codes, /*is_signed=*/*least < 0);
    return graph.Cast(bytes, onnx::TensorProto::FLOAT, hint);
  }
  return graph.Floats(hint, shape, std::vector<float>(codes.begin(), codes.end()));
}

std::string AsDequantizedBytes(OnnxValues& values, const std::string& hint, const Encoding& encoding,
                               const std::string& codes) {
  OnnxGraph& graph = values.graph();
  const bool is_signed = encoding.kind != EncodingKind::kUnsigned;
  const int64_t most = encoding.code(encoding.largest_stored());
  if (most > (is_signed ? 127 : 255)) return "";
  const std::string zero = graph.ByteScalar(0, is_signed);
  const std::string bytes = graph.Node("QuantizeLinear", {codes, graph.Scalar(1), zero}, hint + "/quantized");
  return graph.Node("DequantizeLinear", {bytes, graph.Scalar(1), zero}, hint + "/dequantized");
}

std::string ConstantCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding,
                          std::vector<int64_t> shape, absl::Span<const int64_t> codes) {
  if (values.dialect() == OnnxDialect::kPlain) return PlainConstantCodes(values, hint, std::move(shape), codes);
  OnnxGraph& graph = values.graph();
  const Grid grid = GridOf(encoding);
  std::vector<int64_t> numbers(codes.begin(), codes.end());
  for (int64_t& number : numbers) {
    number = (number - static_cast<int64_t>(grid.offset)) / static_cast<int64_t>(grid.step);
  }
  if (values.dialect() == OnnxDialect::kQonnx) {
    const std::string x = graph.Floats(hint + "/grid", shape, std::vector<float>(numbers.begin(), numbers.end()));
    return FromGrid(values, hint, encoding, SayGrid(values, hint, encoding, x));
  }
  std::string bytes = graph.Bytes(hint + "/bytes", shape, numbers, grid.is_signed);
  if (NeedsClip(grid)) {
    bytes = graph.Node(
        "Clip", {bytes, graph.ByteScalar(grid.least, grid.is_signed), graph.ByteScalar(grid.most, grid.is_signed)},
        hint + "/clipped");
  }
  return FromGrid(values, hint, encoding, Dequantize(values, hint + "/dequantized", grid, bytes));
}

std::string SignCodes(OnnxValues& values, const std::string& hint, const std::string& x) {
  OnnxGraph& graph = values.graph();
  const Encoding binary = {EncodingKind::kBinary, 1};
  if (values.dialect() == OnnxDialect::kQonnx) return SayGrid(values, hint, binary, x);
  const std::string is_positive = graph.Node("GreaterOrEqual", {x, graph.Scalar(0)}, hint + "/is_positive");
  const std::string signs = graph.Node("Where", {is_positive, graph.Scalar(1), graph.Scalar(-1)}, hint + "/sign");
  return SayGrid(values, hint, binary, signs);
}

std::string FloorCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& u) {
  // QONNX's node rounds down itself.
  const std::string grid =
      values.dialect() == OnnxDialect::kQonnx ? u : values.graph().Node("Floor", {u}, hint + "/floor");
  return GridCodes(values, hint, encoding, grid);
}

std::string GridCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& grid) {
  return FromGrid(values, hint, encoding, SayGrid(values, hint, encoding, grid));
}

std::string SayCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& codes) {
  OnnxGraph& graph = values.graph();
  if (values.dialect() == OnnxDialect::kPlain || !CanSay(values.dialect(), encoding)) return codes;
  const Grid grid = GridOf(encoding);
  std::string x = codes;
  if (grid.offset != 0) x = graph.Node("Add", {x, graph.Scalar(-grid.offset)}, hint + "/shifted");
  if (grid.step != 1) x = graph.Node("Mul", {x, graph.Scalar(1 / grid.step)}, hint + "/halved");
  return GridCodes(values, hint, encoding, x);
}

}  // namespace bitgrad
