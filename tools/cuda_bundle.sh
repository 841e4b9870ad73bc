#!/bin/bash
# Builds the CUDA tests and benchmarks and puts them, with all libraries that they need but CUDA's and the C library, into one
# folder, for a machine that has a GPU but no Bazel. Libraries that Debian has as archives are in the programs; those that it has
# only as shared objects (oneDNN, Google Benchmark, Highway), and the C++ runtime and OpenMP, which these need too, lie in lib/.
#
#   tools/cuda_bundle.sh DIRECTORY       then, there:       DIRECTORY/run_all [--tests] [--sanitize] [--benches] [--quick]
set -euo pipefail

[[ $# == 1 && $1 != -* ]] || { echo "usage: tools/cuda_bundle.sh DIRECTORY" >&2; exit 2; }
out=$(readlink -m -- "$1")
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
[[ ! -e $out || -d $out ]] || { echo "cuda_bundle: '$out' is not a folder" >&2; exit 1; }

tests=(//tests/ops/cuda:all_tests //tests/ops/cuda:device_tests)
benches=(//bench:cuda_gemm //bench:cuda_sign_gemm //bench:cuda_packed_mlp //bench:cuda_training_step //bench:cuda_frozen_mlp
  //bench:cuda_frozen_conv_net)
programs=(//models:train //models:evaluate //runtime:predict)
./bazelw build --define=bundle=static "${tests[@]}" "${benches[@]}" "${programs[@]}"

rm -rf -- "$out"/{tests,benches,bin,lib,payload.tar.gz,payload.tar.xz}
mkdir -p -- "$out"/{tests,benches,bin,lib}
# Copies //a/b:c to a folder.
copy() {
  local label path
  for label in "${@:2}"; do
    path=${label#//}
    install -m 755 -- "bazel-bin/${path/://}" "$out/$1/"
  done
}
copy tests "${tests[@]}"
copy benches "${benches[@]}"
copy bin "${programs[@]}"
strip -- "$out"/{tests,benches,bin}/*
# The C library has to be the machine's own; everything else comes along.
ldd "$out"/{tests,benches,bin}/* | awk '/=> \// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*)\.so' | xargs -I{} cp -L -- {} "$out/lib/"
# A dictionary that reaches over several programs: each carries the same kernels. A tenth of the size; run_all unpacks it.
tar -C "$out" -c tests benches bin lib | xz --lzma2=preset=6,dict=64MiB >"$out/payload.tar.xz"
rm -rf -- "$out"/{tests,benches,bin,lib}
install -m 755 tools/cuda_bundle_run_all.sh "$out/run_all"
du -sh -- "$out"
