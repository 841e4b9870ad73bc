// Instructions of sm_90a: products of a warpgroup (four warps) that read their operands from shared memory, bulk copies
// of tiles (TMA), and the barriers that these signal.
//
// A tile in shared memory consists of rows of 128 bytes and is aligned to 1,024 bytes. Bits 4 to 6 of an address are
// XORed with bits 7 to 9 (the 128-byte swizzle), both by the copy that writes the tile and by the product that reads
// it.

#ifndef BITGRAD_OPS_CUDA_WGMMA_H_
#define BITGRAD_OPS_CUDA_WGMMA_H_

#include <cstdint>

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/tensor_map.h"

#ifdef BITGRAD_CUDA_EMULATED
#include "bitgrad/ops/cuda/emulator/emulated_wgmma.h"
#else
#include "bitgrad/ops/cuda/mma.h"

// Device code that only sm_90a has. The kernels are also compiled for other GPUs, with empty bodies; they are never
// launched there.
#ifdef __CUDA_ARCH_FEAT_SM90_ALL
#define BITGRAD_HAS_WGMMA 1
#else
#define BITGRAD_HAS_WGMMA 0
#endif

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

#if BITGRAD_HAS_WGMMA

// ---- Barriers. A phase ends when `arrivals` threads have arrived and all announced bytes have been copied.

__device__ __forceinline__ void InitBarrier(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(arrivals) : "memory");
}
// Makes initialized barriers visible to copies.
__device__ __forceinline__ void FenceBarriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ __forceinline__ void Arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(SharedAddress(barrier)) : "memory");
}
__device__ __forceinline__ void ArriveAndExpect(uint64_t* barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(SharedAddress(barrier)), "r"(bytes)
               : "memory");
}
// Waits until the phase with this parity (0 for the first) has ended.
__device__ __forceinline__ void WaitForPhase(uint64_t* barrier, int parity) {
  asm volatile(
      "{\n"
      ".reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra end;\n"
      "bra again;\n"
      "end:\n"
      "}" ::"r"(SharedAddress(barrier)),
      "r"(parity)
      : "memory");
}

// ---- Copies. CopyTile() copies the map's box at (byte x, row y), with zeros where it is outside. Its bytes count for
// the barrier.
__device__ __forceinline__ void CopyTile(void* shared, const TensorMap* map, int x, int y, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(
          SharedAddress(shared)),
      "l"(map), "r"(x), "r"(y), "r"(SharedAddress(barrier))
      : "memory");
}

// ---- Products

// The descriptor of the rows that start at `shared`: address and strides in units of 16 bytes (eight rows are 1,024
// bytes), and the 128-byte swizzle.
__device__ __forceinline__ uint64_t TileDescriptor(const void* shared) {
  return static_cast<uint64_t>(SharedAddress(shared) >> 4 & 0x3fff) | uint64_t{1} << 16 | uint64_t{1024 >> 4} << 32 |
         uint64_t{1} << 62;
}
__device__ __forceinline__ void FenceProducts() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void CommitProducts() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int kOpen>
__device__ __forceinline__ void WaitForProducts() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kOpen) : "memory");
}

// d = popcount(a & b) + (add ? d : 0), for 64 rows of a, 128 rows of b and 256 bits of K. Warp w of the four gets rows
// 16w to 16w + 15, in the fragment layout of mma.h: d[4t ..] are columns 8t to 8t + 7.
__device__ __forceinline__ void MultiplyBits64x128(int32_t (&d)[64], uint64_t a, uint64_t b, int add) {
  asm volatile(
      "{\n"
      ".reg .pred p;\n"
      "setp.ne.b32 p, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k256.s32.b1.b1.and.popc "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, p;\n"
      "}"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7]), "+r"(d[8]),
        "+r"(d[9]), "+r"(d[10]), "+r"(d[11]), "+r"(d[12]), "+r"(d[13]), "+r"(d[14]), "+r"(d[15]), "+r"(d[16]),
        "+r"(d[17]), "+r"(d[18]), "+r"(d[19]), "+r"(d[20]), "+r"(d[21]), "+r"(d[22]), "+r"(d[23]), "+r"(d[24]),
        "+r"(d[25]), "+r"(d[26]), "+r"(d[27]), "+r"(d[28]), "+r"(d[29]), "+r"(d[30]), "+r"(d[31]), "+r"(d[32]),
        "+r"(d[33]), "+r"(d[34]), "+r"(d[35]), "+r"(d[36]), "+r"(d[37]), "+r"(d[38]), "+r"(d[39]), "+r"(d[40]),
        "+r"(d[41]), "+r"(d[42]), "+r"(d[43]), "+r"(d[44]), "+r"(d[45]), "+r"(d[46]), "+r"(d[47]), "+r"(d[48]),
        "+r"(d[49]), "+r"(d[50]), "+r"(d[51]), "+r"(d[52]), "+r"(d[53]), "+r"(d[54]), "+r"(d[55]), "+r"(d[56]),
        "+r"(d[57]), "+r"(d[58]), "+r"(d[59]), "+r"(d[60]), "+r"(d[61]), "+r"(d[62]), "+r"(d[63])
      : "l"(a), "l"(b), "r"(add));
}

// The producer's warpgroup releases registers, which the consumers' warpgroups take.
template <int kRegisters>
__device__ __forceinline__ void ReleaseRegisters() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
}
template <int kRegisters>
__device__ __forceinline__ void TakeRegisters() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
}

#endif

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif

#endif  // BITGRAD_OPS_CUDA_WGMMA_H_
