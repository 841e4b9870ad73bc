#include "bitgrad/ops/dot_kernel.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

// From how many rows on the int8 GEMM is faster than bit planes. Bit planes need several passes over K, depending on
// the encodings; the int8 GEMM costs the same for all of them, plus the expansion of the weights. The numbers were
// measured with bench/coded_gemm.cc for n = 1024 to 4096 (docs/performance.md).
struct Row {
  int max_passes;
  int64_t min_int8_rows;
};
constexpr Row kCountingWords[] = {{5, kNever}, {7, 64}, {15, 16}, {kMaxCodeBits * kMaxCodeBits, 10}};  // AVX-512, VNNI
constexpr Row kOtherwise[] = {{2, kNever}, {4, 6}, {7, 2}, {kMaxCodeBits * kMaxCodeBits, 1}};          // AVX2

// How many passes over K bit planes need: one for each pair of planes, fewer with ternary codes
// (ops/cpu/plane_gemm.cc).
int Passes(const Encoding& x, const Encoding& w) {
  const auto sign_only = [](const Encoding& e) {
    return e.kind == EncodingKind::kBinary || e.kind == EncodingKind::kTernary;
  };
  const int pairs = x.bits * w.bits;  // 2 or 4 where one of two such is ternary
  return sign_only(x) && sign_only(w) ? pairs / 2 : pairs;
}

int64_t MinInt8Rows(const Encoding& x, const Encoding& w, bool counts_words) {
  // Planes of logarithmic codes are of no use. Otherwise binary inputs are never expanded to bytes: 1 x k planes are
  // never much slower than that.
  if (x.is_log() || w.is_log()) return 0;
  if (x.kind == EncodingKind::kBinary) return kNever;
  for (const Row& row : counts_words ? absl::MakeConstSpan(kCountingWords) : absl::MakeConstSpan(kOtherwise)) {
    if (Passes(x, w) <= row.max_passes) return row.min_int8_rows;
  }
  return kNever;
}

// Why the float GEMM has to do it; null where integers do.
const char* WhyFloat(const Encoding& x, const Encoding& w, int64_t k) {
  if (!x.is_integer()) return "float input";
  if (!w.is_integer()) return "float weights";
  if (x.is_log() || w.is_log()) {
    if (LogSumsOf(x, w, k) == LogSums::kTooLarge) return "sums may overflow";
  } else if (!DotIsExact(x, w, k)) {
    return "sums may exceed 2^24";
  }
  if (x.bits > kMaxCodeBits || w.bits > kMaxCodeBits) return "codes of more than 8 bits";
  return nullptr;
}

bool BothBinary(const Encoding& x, const Encoding& w) {
  return x.kind == EncodingKind::kBinary && w.kind == EncodingKind::kBinary;
}

}  // namespace

DotKernel ChooseDotKernel(const Encoding& x, const Encoding& w, int64_t k, int64_t rows, bool counts_words) {
  if (WhyFloat(x, w, k) != nullptr) return DotKernel::kFloatGemm;
  if (BothBinary(x, w)) return DotKernel::kXnorPopcount;
  return rows < MinInt8Rows(x, w, counts_words) ? DotKernel::kBitPlanes : DotKernel::kInt8;
}

std::string DescribeDotKernel(const Encoding& x, const Encoding& w, int64_t k, bool counts_words) {
  if (const char* why = WhyFloat(x, w, k); why != nullptr) return absl::StrCat("float GEMM (", why, ")");
  if (BothBinary(x, w)) return "packed XNOR-popcount";
  if (x.is_log() || w.is_log()) {
    const auto name = [](const Encoding& e, int bytes) {
      return e.is_log() ? absl::StrCat(e.bits, " bit log (", bytes, bytes == 1 ? " byte)" : " bytes)")
                        : absl::StrCat(e.bits, " bit");
    };
    return absl::StrCat("int8 GEMM of ", name(x, UnsignedDigits(x)), " x ", name(w, SignedDigits(w)), ", ",
                        LogSumsOf(x, w, k) == LogSums::kInt32 ? "int32" : "int64");
  }
  const std::string planes = absl::StrCat(x.bits, " x ", w.bits, " bit planes");
  const int64_t min_int8_rows = MinInt8Rows(x, w, counts_words);
  if (min_int8_rows == kNever) return planes;
  if (min_int8_rows <= 1) return "int8 GEMM";
  return absl::StrCat(planes, " (rows < ", min_int8_rows, "), int8 GEMM");
}

}  // namespace bitgrad
