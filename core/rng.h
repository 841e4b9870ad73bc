// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as
// 1, 2, 3", SC 2011), from Random123.
//
// Every random number is a pure function of (seed, purpose, step, stream, element). It depends on no thread count,
// batch order or device, and a resumed run continues with the same numbers.
//
//   RngStream rng{.seed = 1, .purpose = RngPurpose::kDropout, .step = 17, .stream = 3};
//   float u = Uniform(rng, i);  // in [0, 1), element i of the stream

#ifndef BITGRAD_CORE_RNG_H_
#define BITGRAD_CORE_RNG_H_

#include <cstdint>

#include "Random123/philox.h"
#include "bitgrad/core/host_device.h"

namespace bitgrad {

// Keeps streams of different use apart. The numbers are part of the reproducibility contract: never renumber.
enum class RngPurpose : uint32_t {
  kInit = 0,       // initial values of parameters; stream: index of the parameter
  kQuantizer = 1,  // stochastic quantizers; step: training step, stream: op within the step
  kDropout = 2,
  kShuffle = 3,  // order of examples; step: epoch
  kAugment = 4,
  kSynthesis = 5,  // built-in data sets
  kTest = 6,
};

struct RngStream {
  uint64_t seed = 0;
  RngPurpose purpose = RngPurpose::kTest;
  uint32_t step = 0;
  uint32_t stream = 0;
  // For work that is recorded once and runs at many steps (core/recorded_work.h): where the device's memory holds the
  // step. Null: `step` holds it. Kernels of devices that can record resolve it first, with StepOnDevice().
  const uint32_t* device_step = nullptr;
};

// The stream with device_step resolved: `step` holds the step, device_step is null. Called inside kernels.
BITGRAD_HOST_DEVICE inline RngStream StepOnDevice(RngStream rng) {
  if (rng.device_step != nullptr) rng.step = *rng.device_step;
  rng.device_step = nullptr;
  return rng;
}

struct RngBlock {
  uint32_t word[4];
};

// The four random words of elements 4 * block .. 4 * block + 3. REQUIRES: block < 2^32.
BITGRAD_HOST_DEVICE inline RngBlock RandomBlock(const RngStream& rng, uint64_t block) {
  const r123::Philox4x32::ctr_type counter = {
      {static_cast<uint32_t>(block), rng.step, rng.stream, static_cast<uint32_t>(rng.purpose)}};
  const r123::Philox4x32::key_type key = {{static_cast<uint32_t>(rng.seed), static_cast<uint32_t>(rng.seed >> 32)}};
  const r123::Philox4x32::ctr_type words = r123::Philox4x32()(counter, key);
  return {{words[0], words[1], words[2], words[3]}};
}

BITGRAD_HOST_DEVICE inline uint32_t RandomWord(const RngStream& rng, uint64_t element) {
  return RandomBlock(rng, element / 4).word[element % 4];
}

// The 24 high bits of a word as a float in [0, 1); the conversion is exact.
BITGRAD_HOST_DEVICE inline float ToUniform(uint32_t word) { return static_cast<float>(word >> 8) * 0x1p-24f; }

BITGRAD_HOST_DEVICE inline float Uniform(const RngStream& rng, uint64_t element) {
  return ToUniform(RandomWord(rng, element));
}

// An integer in [0, n), by multiplication; each has a probability within 1 / 2^32 of 1 / n. REQUIRES: n > 0.
BITGRAD_HOST_DEVICE inline uint32_t UniformBelow(const RngStream& rng, uint64_t element, uint32_t n) {
  return static_cast<uint32_t>(static_cast<uint64_t>(RandomWord(rng, element)) * n >> 32);
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_RNG_H_
