#include "bitgrad/export/c_code/c_kernels.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"

namespace bitgrad {
namespace {

std::vector<CKernel> AllKernels() {
  std::vector<CKernel> all;
  for (const auto list :
       {BitKernels, PatchKernels, ProductKernels, OutputKernels, PoolKernels, CodeKernels, FloatKernels}) {
    for (CKernel& kernel : list()) all.push_back(std::move(kernel));
  }
  return all;
}

}  // namespace

std::string TextOfKernels(const std::set<std::string>& names) {
  const std::vector<CKernel> all = AllKernels();
  std::set<std::string> wanted = names;
  // What a kernel needs stands before it, so one pass from the end finds all.
  std::set<std::string> known;
  for (auto kernel = all.rbegin(); kernel != all.rend(); ++kernel) {
    known.insert(kernel->name);
    if (wanted.contains(kernel->name)) wanted.insert(kernel->needs.begin(), kernel->needs.end());
  }
  for (const std::string& name : wanted) BITGRAD_CHECK(known.contains(name));
  std::string text;
  for (const CKernel& kernel : all) {
    // The literals begin with a line break, which becomes the empty line between functions.
    if (wanted.contains(kernel.name)) absl::StrAppend(&text, kernel.text);
  }
  return text;
}

}  // namespace bitgrad
