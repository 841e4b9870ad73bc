// BITGRAD_HOST_DEVICE marks an inline function that CUDA kernels call too and that cannot be constexpr. (constexpr
// functions need no mark, because CUDA sources are compiled with --expt-relaxed-constexpr.) For every other compiler it
// expands to nothing.

#ifndef BITGRAD_CORE_HOST_DEVICE_H_
#define BITGRAD_CORE_HOST_DEVICE_H_

#ifdef __CUDACC__
#define BITGRAD_HOST_DEVICE __host__ __device__
#else
#define BITGRAD_HOST_DEVICE
#endif

#endif  // BITGRAD_CORE_HOST_DEVICE_H_
