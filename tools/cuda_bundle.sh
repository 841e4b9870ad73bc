#!/bin/bash
# Builds the CUDA tests and benchmarks and puts them into one folder, for a machine that has a GPU but no Bazel. The
# folder has all libraries that they need, except CUDA's and the C library. Libraries that Debian has as archives are
# linked into the programs. Those that it has only as shared objects (oneDNN, Google Benchmark, Highway), and the C++
# runtime and OpenMP, which these need too, are in lib/.
#
#   tools/cuda_bundle.sh DIRECTORY                                               here
#   DIRECTORY/run_all [--tests] [--sanitize] [--benches] [--quick]               then, on the other machine
set -euo pipefail

[[ $# == 1 && $1 != -* ]] || { echo "usage: tools/cuda_bundle.sh DIRECTORY" >&2; exit 2; }
out=$(readlink -m -- "$1")
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."
[[ ! -e $out || -d $out ]] || { echo "cuda_bundle: '$out' is not a folder" >&2; exit 1; }

tests=(//tests/ops/cuda:all_tests //tests/ops/cuda:device_tests)
benches=(//bench:cuda_gemm //bench:cuda_sign_gemm //bench:cuda_packed_mlp //bench:cuda_training_step
  //bench:cuda_frozen_mlp //bench:cuda_frozen_conv_net)
programs=(//models:train //models:evaluate //runtime:predict)
./bazelw build --define=bundle=static "${tests[@]}" "${benches[@]}" "${programs[@]}"

rm -rf -- "$out"/{tests,benches,bin,lib,payload.tar.gz,payload.tar.xz}
mkdir -p -- "$out"/{tests,benches,bin,lib}
# copy FOLDER LABEL...: copies the programs with these labels (//a/b:c) to the folder.
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
# The C library has to be the other machine's own; all other shared libraries are copied.
ldd "$out"/{tests,benches,bin}/* | awk '/=> \// { print $3 }' | sort -u |
  grep -Ev '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*)\.so' | xargs -I{} cp -L -- {} "$out/lib/"
# Each program contains the same kernels, so a compression dictionary that spans several programs makes the bundle a
# tenth as large. run_all unpacks it.
tar -C "$out" -c tests benches bin lib | xz --lzma2=preset=6,dict=64MiB >"$out/payload.tar.xz"
rm -rf -- "$out"/{tests,benches,bin,lib}
install -m 755 tools/cuda_bundle_run_all.sh "$out/run_all"
du -sh -- "$out"
