// The product of codes of two bits by table lookup (triple_product.cc), in parts, for the convolution, which gathers
// the rows of `a` itself.

#ifndef BITGRAD_OPS_CPU_TRIPLE_PROBLEM_H_
#define BITGRAD_OPS_CPU_TRIPLE_PROBLEM_H_

#include <cstdint>

#include "bitgrad/ops/cpu/coded_gemm.h"
#include "bitgrad/ops/kernels/coded_gemm.h"

namespace bitgrad::cpu {

// With more steps than this, sums of 16 bits might overflow. They are those of a K of some 7,200.
inline constexpr int64_t kMostTripleSteps = 2427;
// The groups of columns that are multiplied together, and the sums of a row that are kept for them.
inline constexpr int64_t kTripleGroups = 2;
inline constexpr int64_t kTripleSums = kTripleGroups * kGroupCols;

// REQUIRES: steps() <= kMostTripleSteps.
struct TripleProblem {
  // For an `a` with these codes. The caller still sets the arranged rows, their terms, the packed columns and the
  // output.
  TripleProblem(const Encoding& a, const ConstPlanesView& b)
      : words((b.cols() + 63) / 64), b(b), terms{CodeMapOf(a), CodeMapOf(b.encoding), static_cast<int32_t>(b.cols())} {}

  int64_t words;  // words of K bits of one plane
  ConstPlanesView b;
  AffineTerms terms;
  const uint16_t* a = nullptr;  // [m, steps()], rows that ArrangeTripleRow() has made
  int64_t m = 0;
  const int32_t* row_terms = nullptr;  // [m]
  RowClasses row_classes = {};
  const uint8_t* panels = nullptr;        // [groups()], each of panel_bytes(), made by PackTripleGroup()
  const int32_t* column_terms = nullptr;  // [groups(), kGroupCols]
  DotOutput out = {};

  // Four codes are in each of 16 bytes per word. Three of them are looked up together; the fourth ones of three bytes
  // are another triple.
  int64_t quads() const { return 16 * words; }
  int64_t rests() const { return (quads() + 2) / 3; }
  int64_t steps() const { return quads() + rests(); }
  int64_t groups() const { return (b.rows() + kGroupCols - 1) / kGroupCols; }
  int64_t panel_bytes() const { return steps() * kGroupCols; }
  // Scratch for PackTripleGroup().
  int64_t pack_bytes() const { return pack_stride() * kGroupCols + 64; }
  int64_t pack_stride() const { return (steps() + 15) / 16 * 16; }
};

// Whether the instruction set has the lookup in 64 bytes that makes this product faster than that of planes. REQUIRES,
// for all other functions: it has.
bool CpuLooksUpTriples();

// Makes a row of `a` from the words of its two planes, which are padded with zeros to whole rows of a bit matrix.
// Returns the sum of its stored codes.
int32_t ArrangeTripleRow(const TripleProblem& p, const uint64_t* plane0, const uint64_t* plane1, uint16_t* row);

// Packs group `group` of columns, and computes its terms [kGroupCols].
void PackTripleGroup(const TripleProblem& p, int64_t group, uint8_t* scratch, uint8_t* panel, int32_t* column_terms);

// Multiplies all rows with all columns, on the caller's thread. `sums` is scratch of m * kTripleSums numbers.
void MultiplyTriples(const TripleProblem& p, uint16_t* sums);

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_TRIPLE_PROBLEM_H_
