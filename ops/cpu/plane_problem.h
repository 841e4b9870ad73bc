// The product of coded operands in bit planes (plane_gemm.cc), in parts, so that two kernels can use it: the GEMM, and
// the convolution with the patches that it gathers.

#ifndef BITGRAD_OPS_CPU_PLANE_PROBLEM_H_
#define BITGRAD_OPS_CPU_PLANE_PROBLEM_H_

#include <cstdint>

#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::cpu {

// Which planes of the operands are combined, and how: see plane_gemm.cc.
enum class PlaneForm { kPairs, kTernaryBinary, kBinaryTernary, kTernaryTernary };

inline PlaneForm PlaneFormOf(const Encoding& a, const Encoding& b) {
  const bool ternary_a = a.kind == EncodingKind::kTernary, ternary_b = b.kind == EncodingKind::kTernary;
  if (ternary_a && ternary_b) return PlaneForm::kTernaryTernary;
  if (ternary_a && b.kind == EncodingKind::kBinary) return PlaneForm::kTernaryBinary;
  if (ternary_b && a.kind == EncodingKind::kBinary) return PlaneForm::kBinaryTernary;
  return PlaneForm::kPairs;
}

// How many passes over the words of K the product takes.
inline int PlanePasses(const Encoding& a, const Encoding& b) {
  switch (PlaneFormOf(a, b)) {
    case PlaneForm::kPairs: return a.bits * b.bits;
    case PlaneForm::kTernaryTernary: return 2;
    default: return 1;
  }
}

struct PlaneProblem {
  // For an `a` with these codes. The caller still sets its planes, its row terms and the output.
  PlaneProblem(const Encoding& a, const ConstPlanesView& b)
      : a{a, {}},
        b(b),
        words((b.cols() + 63) / 64),
        form(PlaneFormOf(a, b.encoding)),
        terms{CodeMapOf(a), CodeMapOf(b.encoding), static_cast<int32_t>(b.cols())} {}

  ConstPlanesView a;
  ConstPlanesView b;
  int64_t words;  // words of K bits, without the padding words at the end of a row
  PlaneForm form;
  AffineTerms terms;                   // used by kPairs
  const int32_t* row_terms = nullptr;  // [m]
  RowClasses row_classes = {};
  DotOutput out = {};

  // The shift of dot = 2^shift S + terms.
  int shift() const { return form == PlaneForm::kPairs ? terms.shift() : form == PlaneForm::kTernaryTernary ? 0 : 1; }

  int64_t plane_words() const { return words * kGroupCols; }  // words of one plane of a group of columns
  int64_t scratch_words() const { return b.encoding.bits * plane_words(); }
};

// The part of dot(i, j) that depends only on row i of `a`.
int32_t PlaneRowTerm(const PlaneProblem& p, int64_t i);

// Multiplies row tiles [tile_begin, tile_end) with one group of columns, on the caller's thread. `scratch` has
// scratch_words() words.
void MultiplyPlaneTiles(const PlaneProblem& p, int64_t group, int64_t tile_begin, int64_t tile_end, uint64_t* scratch);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_PLANE_PROBLEM_H_
