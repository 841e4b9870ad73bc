// Reads the machine code for GPUs from an object file that nvcc has made, and tells which instructions each kernel has.
// It needs neither a GPU nor CUDA's tools.

#ifndef BITGRAD_TESTS_OPS_CUDA_CUBINS_H_
#define BITGRAD_TESTS_OPS_CUDA_CUBINS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace bitgrad {

// The low nine bits of a 16-byte instruction are its base opcode.
enum class Opcode : int {
  kBmma = 0x03d,   // bits, mma.sync
  kImma = 0x037,   // bytes, mma.sync
  kHmma = 0x03c,   // bf16, mma.sync
  kBgmma = 0x1f2,  // bits, wgmma
  kCall = 0x144,
  kLoadLocal = 0x183,
  kStoreLocal = 0x187,
};

struct KernelCode {
  int architecture;  // 80 for sm_80
  std::string name;  // mangled
  std::map<int, int> opcodes;

  int count(Opcode opcode) const {
    const auto found = opcodes.find(static_cast<int>(opcode));
    return found == opcodes.end() ? 0 : found->second;
  }
};

// All kernels in the file's bytes, for all architectures.
std::vector<KernelCode> KernelsIn(absl::string_view object);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_CUDA_CUBINS_H_
