// Checks what nvcc has generated for the hot kernels: they have tensor-core instructions, no emulation of these, and
// spill no registers.
//
// From sm_90 on, a product of bits by XOR is a call of a function that makes it of two ANDs: the results are right, but
// it is several times slower. Only the machine code shows that.

#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <vector>

#include "bitgrad/tests/ops/cuda/cubins.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// What is expected of the kernels whose mangled names contain all of `words`, for the architectures from `since` to
// `until`.
struct Expectation {
  const char* object;
  std::vector<std::string> words;
  Opcode opcode;
  int since, until;
  friend std::ostream& operator<<(std::ostream& out, const Expectation& e) {
    out << e.object;
    for (const std::string& word : e.words) out << " " << word;
    return out;
  }
};

class OpcodeTest : public testing::TestWithParam<Expectation> {};

std::string ContentsOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.good()) << path;
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

bool HasAll(const std::string& name, const std::vector<std::string>& words) {
  for (const std::string& word : words) {
    if (name.find(word) == std::string::npos) return false;
  }
  return true;
}

TEST_P(OpcodeTest, UsesTensorCoresAndSpillsNothing) {
  const Expectation& expected = GetParam();
  const std::string object = ContentsOf(std::string("ops/cuda/") + expected.object + "_readable.o");
  int found[2] = {};
  for (const KernelCode& kernel : KernelsIn(object)) {
    if (!HasAll(kernel.name, expected.words)) continue;
    if (kernel.architecture < expected.since || kernel.architecture > expected.until) continue;
    SCOPED_TRACE(testing::Message() << kernel.name << " for sm_" << kernel.architecture);
    ++found[kernel.architecture >= 90];
    // An emulated product would be a call in place of the instruction; a loop's body has at least eight products. (For
    // sm_80 and sm_89, ptxas also leaves a loop with a call of the code that follows it, once in each kernel.)
    EXPECT_GE(kernel.count(expected.opcode), 8);
    EXPECT_LE(kernel.count(Opcode::kCall), kernel.architecture < 90 ? 1 : 0)
        << "an emulated instruction, or a division of 64-bit numbers";
    EXPECT_EQ(kernel.count(Opcode::kLoadLocal), 0) << "registers spilled";
    EXPECT_EQ(kernel.count(Opcode::kStoreLocal), 0) << "registers spilled";
  }
  if (expected.since < 90) {
    EXPECT_GE(found[0], 2) << "sm_80 and sm_89";
  }
  EXPECT_GE(found[1], 1) << "sm_90a";
}

INSTANTIATE_TEST_SUITE_P(
    HotKernels, OpcodeTest,
    testing::Values(Expectation{"packed_gemm", {"TensorGemmKernel", "BitProducts", "ToCodes"}, Opcode::kBmma, 80, 90},
                    Expectation{"packed_gemm", {"TensorGemmKernel", "BitProducts", "ToFloat"}, Opcode::kBmma, 80, 90},
                    Expectation{"packed_gemm", {"TensorGemmKernel", "BitProducts", "ToBits"}, Opcode::kBmma, 80, 90},
                    Expectation{"packed_gemm", {"WgmmaGemmKernel", "ToCodes"}, Opcode::kBgmma, 90, 90},
                    Expectation{"packed_gemm", {"WgmmaGemmKernel", "ToFloat"}, Opcode::kBgmma, 90, 90},
                    Expectation{"packed_gemm", {"WgmmaGemmKernel", "ToBits"}, Opcode::kBgmma, 90, 90},
                    Expectation{"packed_gemm", {"TensorGemmKernel", "ByteProducts"}, Opcode::kImma, 80, 90},
                    Expectation{"packed_gemm_i16", {"TensorGemmKernel", "BitProducts"}, Opcode::kBmma, 80, 90},
                    Expectation{"packed_gemm_i16", {"WgmmaGemmKernel"}, Opcode::kBgmma, 90, 90},
                    Expectation{"packed_border_gemm", {"TensorGemmKernel", "BitProducts"}, Opcode::kBmma, 80, 90},
                    Expectation{"packed_border_gemm", {"TensorGemmKernel", "ByteProducts"}, Opcode::kImma, 80, 90},
                    Expectation{"packed_border_gemm", {"WgmmaGemmKernel"}, Opcode::kBgmma, 90, 90},
                    Expectation{"coded_gemm", {"TensorGemmKernel", "BitProducts"}, Opcode::kBmma, 80, 90},
                    Expectation{"coded_gemm", {"TensorGemmKernel", "ByteProducts"}, Opcode::kImma, 80, 90},
                    Expectation{"sign_gemm", {"SignGemmKernel", "FloatRows"}, Opcode::kHmma, 80, 90},
                    Expectation{"sign_gemm", {"SignGemmKernel", "ByteRows"}, Opcode::kImma, 80, 90}));

}  // namespace
}  // namespace bitgrad
