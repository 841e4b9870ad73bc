// Tensor-core instructions of sm_80 and later, and the asynchronous copies that feed them.
//
// Fragments are laid out as in the PTX manual (mma.m16n8k256, "Matrix fragments"). With g = lane / 4 and q = lane % 4:
//   a[0], a[1], a[2], a[3]   rows g, g + 8, g, g + 8; bytes 4q.. of the first, first, second, second 16 bytes of K
//   b[0], b[1]               column g; bytes 4q.. of the first, second 16 bytes of K
//   c[0], c[1], c[2], c[3]   cells (g, 2q), (g, 2q + 1), (g + 8, 2q), (g + 8, 2q + 1)
// The layout is the same for bits, bytes and, with K counted in bytes, bf16.

#ifndef BITGRAD_OPS_CUDA_MMA_H_
#define BITGRAD_OPS_CUDA_MMA_H_

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"

#ifdef BITGRAD_CUDA_EMULATED
#include "bitgrad/ops/cuda/emulator/emulated_mma.h"
#else

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

__device__ __forceinline__ uint32_t SharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// c += popcount(a & b), for 256 bits of K. (AND, because XOR is emulated from sm_90 on and several times slower.)
__device__ __forceinline__ void MmaB1(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k256.row.col.s32.b1.b1.s32.and.popc {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c += a * b, for 32 unsigned bytes of K.
__device__ __forceinline__ void MmaU8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.u8.u8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c += a * b, for 32 signed bytes of K.
__device__ __forceinline__ void MmaS8(int32_t (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(c[0]), "+r"(c[1]), "+r"(c[2]), "+r"(c[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// c += a * b, for 16 bf16 of K, with float32 accumulators.
__device__ __forceinline__ void MmaBf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// Loads four matrices of 8 rows of 16 bytes from shared memory. Lane 8i + r gives the address of row r of matrix i.
// Each lane gets, of matrix i, bytes 4q.. of row g. REQUIRES: rows are aligned to 16 bytes.
__device__ __forceinline__ void LoadMatrices(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}

// Does the same with transposed matrices of 2-byte elements: each lane gets, of matrix i, elements (2q, g) and (2q + 1,
// g).
__device__ __forceinline__ void LoadTransposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(SharedAddress(row))
               : "memory");
}

// The nearest bf16, ties to even.
__device__ __forceinline__ uint16_t ToBf16(float x) {
  uint16_t result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result) : "f"(x));
  return result;
}

// Copies 16 bytes from global to shared memory; where !valid, it writes zeros and does not read `from`.
__device__ __forceinline__ void CopyAsync16(void* shared, const void* from, bool valid) {
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(SharedAddress(shared)), "l"(from), "r"(bytes)
               : "memory");
}
// CommitCopies() closes a group of this thread's copies. WaitForCopies() waits until at most `kOpen` of its groups are
// unfinished.
__device__ __forceinline__ void CommitCopies() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int kOpen>
__device__ __forceinline__ void WaitForCopies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kOpen) : "memory");
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif

#endif  // BITGRAD_OPS_CUDA_MMA_H_
