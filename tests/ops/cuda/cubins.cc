#include "bitgrad/tests/ops/cuda/cubins.h"

#include <elf.h>

#include <cstring>

namespace bitgrad {
namespace {

constexpr int kMachineCuda = 190;

template <typename T>
bool Read(absl::string_view bytes, size_t offset, T& value) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return false;
  std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return true;
}

// Adds the kernels of the device program (a cubin) that begins at `image`.
void AddKernels(absl::string_view image, const Elf64_Ehdr& header, std::vector<KernelCode>& kernels) {
  const auto section_at = [&](int i, Elf64_Shdr& section) {
    return Read(image, header.e_shoff + static_cast<size_t>(i) * header.e_shentsize, section);
  };
  Elf64_Shdr names;
  if (!section_at(header.e_shstrndx, names)) return;
  for (int i = 0; i < header.e_shnum; ++i) {
    Elf64_Shdr section;
    if (!section_at(i, section) || names.sh_offset + section.sh_name >= image.size()) return;
    const std::string name = image.data() + names.sh_offset + section.sh_name;
    constexpr absl::string_view kText = ".text.";
    if (name.compare(0, kText.size(), kText.data()) != 0) continue;
    KernelCode kernel = {static_cast<int>(header.e_flags >> 8 & 0xff), name.substr(kText.size()), {}};
    for (uint64_t at = 0; at < section.sh_size; at += 16) {
      uint64_t instruction;
      if (!Read(image, section.sh_offset + at, instruction)) return;
      ++kernel.opcodes[static_cast<int>(instruction & 0x1ff)];
    }
    kernels.push_back(std::move(kernel));
  }
}

}  // namespace

std::vector<KernelCode> KernelsIn(absl::string_view object) {
  std::vector<KernelCode> kernels;
  const absl::string_view magic(ELFMAG, SELFMAG);
  for (size_t at = object.find(magic); at != absl::string_view::npos; at = object.find(magic, at + 1)) {
    Elf64_Ehdr header;
    if (Read(object, at, header) && header.e_machine == kMachineCuda) AddKernels(object.substr(at), header, kernels);
  }
  return kernels;
}

}  // namespace bitgrad
