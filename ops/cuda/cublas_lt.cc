#include "bitgrad/ops/cuda/cublas_lt.h"

#include <dlfcn.h>

#include <map>
#include <mutex>
#include <tuple>
#include <type_traits>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad::cuda {
namespace {

// The functions of the library that are used, loaded by name.
struct Library {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtGetStatusString) text;
  cublasLtHandle_t handle;
};

absl::StatusOr<Library> Load() {
  constexpr char kName[] = "libcublasLt.so.13";
  void* const opened = dlopen(kName, RTLD_LAZY | RTLD_LOCAL);
  if (opened == nullptr) {
    return absl::FailedPreconditionError(
        absl::StrCat("cuda: cannot load ", kName, ": ", dlerror(), "; put its folder into LD_LIBRARY_PATH"));
  }
  Library library = {};
  absl::Status error;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(opened, name));
    if (function == nullptr) error = absl::InternalError(absl::StrCat("cuda: ", kName, " has no ", name));
  };
  find(library.create, "cublasLtCreate");
  find(library.desc_create, "cublasLtMatmulDescCreate");
  find(library.desc_destroy, "cublasLtMatmulDescDestroy");
  find(library.desc_set, "cublasLtMatmulDescSetAttribute");
  find(library.layout_create, "cublasLtMatrixLayoutCreate");
  find(library.layout_destroy, "cublasLtMatrixLayoutDestroy");
  find(library.preference_create, "cublasLtMatmulPreferenceCreate");
  find(library.preference_destroy, "cublasLtMatmulPreferenceDestroy");
  find(library.preference_set, "cublasLtMatmulPreferenceSetAttribute");
  find(library.heuristic, "cublasLtMatmulAlgoGetHeuristic");
  find(library.matmul, "cublasLtMatmul");
  find(library.text, "cublasLtGetStatusString");
  if (!error.ok()) return error;
  if (const cublasStatus_t status = library.create(&library.handle); status != CUBLAS_STATUS_SUCCESS) {
    return absl::InternalError(absl::StrCat("cuda: cublasLtCreate: ", library.text(status)));
  }
  return library;
}

const absl::StatusOr<Library>& TheLibrary() {
  static const auto* const kLibrary = new absl::StatusOr<Library>(Load());
  return *kLibrary;
}

// cuBLAS matrices are column-major. A row-major matrix is the transpose of a column-major one, and C^T = op(B)^T
// op(A)^T. So B is the first operand, and an operand that is not transposed as a row-major matrix is not transposed
// here either.
struct Descriptors {
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t first = nullptr, second = nullptr, result = nullptr;
  cublasLtMatmulAlgo_t algo;
};

// The alignment in bytes, at most 16, that all rows of all three matrices have.
uint32_t Alignment(const MatrixProduct& x) {
  const auto element = [](cudaDataType_t type) {
    return type == CUDA_R_32F || type == CUDA_R_32I ? 4 : type == CUDA_R_16BF ? 2 : 1;
  };
  const uint64_t all = reinterpret_cast<uintptr_t>(x.a) | reinterpret_cast<uintptr_t>(x.b) |
                       reinterpret_cast<uintptr_t>(x.c) | static_cast<uint64_t>(x.stride_a * element(x.type_ab)) |
                       static_cast<uint64_t>(x.stride_b * element(x.type_ab)) |
                       static_cast<uint64_t>(x.stride_c * element(x.type_c)) | 16;
  return static_cast<uint32_t>(all & (~all + 1));  // the lowest bit that is set
}

using Key = std::tuple<bool, bool, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, uint32_t, int, int, int>;

absl::StatusOr<const Descriptors*> Find(const Library& library, const MatrixProduct& x) {
  static std::mutex mutex;
  static auto* const known = new std::map<Key, Descriptors>;
  const Key key{x.transpose_a, x.transpose_b, x.m,          x.n,       x.k,      x.stride_a,
                x.stride_b,    x.stride_c,    Alignment(x), x.type_ab, x.type_c, x.compute};
  const std::lock_guard<std::mutex> lock(mutex);
  if (const auto found = known->find(key); found != known->end()) return &found->second;

  Descriptors d;
  const cublasOperation_t first = x.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N;
  const cublasOperation_t second = x.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  library.desc_create(&d.desc, x.compute, x.type_scale);
  library.desc_set(d.desc, CUBLASLT_MATMUL_DESC_TRANSA, &first, sizeof(first));
  library.desc_set(d.desc, CUBLASLT_MATMUL_DESC_TRANSB, &second, sizeof(second));
  library.layout_create(&d.first, x.type_ab, x.transpose_b ? x.k : x.n, x.transpose_b ? x.n : x.k, x.stride_b);
  library.layout_create(&d.second, x.type_ab, x.transpose_a ? x.m : x.k, x.transpose_a ? x.k : x.m, x.stride_a);
  library.layout_create(&d.result, x.type_c, x.n, x.m, x.stride_c);

  cublasLtMatmulPreference_t preference;
  library.preference_create(&preference);
  library.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kCublasWorkspaceBytes,
                         sizeof(kCublasWorkspaceBytes));
  // The heuristic must know the alignment: rows of tensors may be aligned to their elements only.
  const uint32_t alignment = Alignment(x);
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    library.preference_set(preference, attribute, &alignment, sizeof(alignment));
  }
  cublasLtMatmulHeuristicResult_t best;
  int count = 0;
  const cublasStatus_t status =
      library.heuristic(library.handle, d.desc, d.first, d.second, d.result, d.result, preference, 1, &best, &count);
  library.preference_destroy(preference);
  if (status != CUBLAS_STATUS_SUCCESS || count == 0) {
    library.layout_destroy(d.first);
    library.layout_destroy(d.second);
    library.layout_destroy(d.result);
    library.desc_destroy(d.desc);
    return absl::InternalError(absl::StrCat("cuda: cuBLASLt has no algorithm for a product ", x.m, " x ", x.n, " x ",
                                            x.k, ": ", library.text(status)));
  }
  d.algo = best.algo;
  return &known->emplace(key, d).first->second;
}

}  // namespace

absl::Status Multiply(const MatrixProduct& x, void* workspace, cudaStream_t stream) {
  const absl::StatusOr<Library>& library = TheLibrary();
  if (!library.ok()) return library.status();
  BITGRAD_ASSIGN_OR_RETURN(const Descriptors* d, Find(*library, x));
  const int32_t integer_alpha = static_cast<int32_t>(x.alpha), integer_beta = static_cast<int32_t>(x.beta);
  const bool integers = x.type_scale == CUDA_R_32I;
  const void* const alpha = integers ? static_cast<const void*>(&integer_alpha) : &x.alpha;
  const void* const beta = integers ? static_cast<const void*>(&integer_beta) : &x.beta;
  const cublasStatus_t status =
      library->matmul(library->handle, d->desc, alpha, x.b, d->first, x.a, d->second, beta, x.c, d->result, x.c,
                      d->result, &d->algo, workspace, kCublasWorkspaceBytes, stream);
  if (status == CUBLAS_STATUS_SUCCESS) return absl::OkStatus();
  return absl::InternalError(
      absl::StrCat("cuda: cublasLtMatmul ", x.m, " x ", x.n, " x ", x.k, ": ", library->text(status)));
}

}  // namespace bitgrad::cuda
