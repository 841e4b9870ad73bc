#!/bin/bash
# Cross-compiles the kernels and their tests (tests/ops/cpu, tests/ops/kernels) for 64-bit Arm with Debian's cross
# compiler, and runs them under QEMU. This tests that results are exact on NEON; it says nothing about speed. Fails if a
# test fails.
#
#   tools/test_arm64.sh [TEST...]      default: every *_test.cc of the two folders
#
# Missing Debian packages are installed, which needs root: the arm64 architecture is added to dpkg's architectures.
set -euo pipefail

packages=(
  g++-aarch64-linux-gnu qemu-user libhwy-dev:arm64 libabsl-dev:arm64 libgtest-dev:arm64
  # For oneDNN and OpenMP only the libraries: oneDNN's arm64 headers cannot be installed beside the machine's own.
  libdnnl2:arm64 libgomp1:arm64
)

cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.."

missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
if ((${#missing[@]} > 0)); then
  echo "test_arm64: installing ${missing[*]}" >&2
  if ((EUID != 0)); then
    echo "test_arm64: this needs root; run: dpkg --add-architecture arm64 && apt-get update &&" \
      "apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
  fi
  dpkg --add-architecture arm64
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q install --no-install-recommends -y "${missing[@]}"
fi

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

# Headers are included as "bitgrad/...", and Highway includes sources by their path from the root.
mkdir "$out/include"
ln -s "$PWD" "$out/include/bitgrad"
# The flags of tools/cc.bzl that change results, and Highway's targets as the Bazel build sets them.
flags="-std=c++20 -O2 -ffp-contract=off -fno-math-errno -fno-trapping-math -fopenmp -DNDEBUG -I. -I$out/include"
flags+=$(sed -n 's/^ *"\(HWY_[^"]*\)",$/ -D\1/p' third_party/highway.BUILD | tr -d '\n')
libraries=(-l:libdnnl.so.2 -lgtest_main -lgtest -lhwy -labsl_statusor -labsl_status -labsl_strings -labsl_cord
  -labsl_cordz_info -labsl_cord_internal -labsl_strings_internal -labsl_int128 -labsl_throw_delegate
  -labsl_raw_logging_internal -labsl_str_format_internal)

tests=("$@")
((${#tests[@]} > 0)) || mapfile -t tests < <(ls tests/ops/{cpu,kernels}/*_test.cc | sed 's|.*/||; s|\.cc$||')

# The kernels are compiled once, then each test becomes a program.
compile() { aarch64-linux-gnu-g++ $flags -c "$1" -o "$out/${1//\//_}.o"; }
export -f compile
export flags out
sources=(core/{allocator,bit_matrix,exec_context,shape}.cc ops/cpu/*.cc ops/quantizers/*.cc)
file_of() { ls tests/ops/{cpu,kernels}/"$1.cc" 2>/dev/null || true; }
{
  printf '%s\n' "${sources[@]}" tests/ops/kernels/on_cpu.cc
  for test in "${tests[@]}"; do file_of "$test"; done
} |
  xargs -P "$(nproc)" -I{} bash -c 'compile {}'

objects=()
for source in "${sources[@]}"; do objects+=("$out/${source//\//_}.o"); done
failed=()
for test in "${tests[@]}"; do
  object=$(file_of "$test")
  test_objects=("$out/${object//\//_}.o")
  [[ $object == tests/ops/cpu/* ]] || test_objects+=("$out/tests_ops_kernels_on_cpu.cc.o")
  aarch64-linux-gnu-g++ -o "$out/$test" "${test_objects[@]}" "${objects[@]}" -fopenmp "${libraries[@]}"
  # Threads that wait at the end of a parallel loop would spin, which takes extremely long under QEMU.
  if OMP_WAIT_POLICY=passive qemu-aarch64 "$out/$test" --gtest_brief=1 >"$out/$test.log" 2>&1; then
    echo "PASSED $test"
  else
    failed+=("$test")
    cat "$out/$test.log"
    echo "FAILED $test"
  fi
done

# One test case per target is named after the target.
echo "Highway's targets that ran: $(qemu-aarch64 "$out/${tests[0]}" --gtest_list_tests |
  sed -n 's|^ .*/\([A-Z][A-Z0-9_]*\) .*|\1|p' | sort -u | paste -sd' ')"
((${#failed[@]} == 0)) || { echo "test_arm64: failed: ${failed[*]}" >&2; exit 1; }
