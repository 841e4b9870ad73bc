#!/bin/bash
# Runs the tests and benchmarks of a bundle (tools/cuda_bundle.sh) and prints a table of each. The exit status is not 0
# if one of them failed.
#
# run_all [--tests] [--sanitize] [--benches] [--quick]     default, without any of the first three: tests and benchmarks
#     --sanitize   the tests of packed kernels under compute-sanitizer's memcheck and racecheck (CUDA's toolkit has it)
#     --quick      runs each benchmark only once and briefly
# CUDA's cuBLASLt is searched for in LD_LIBRARY_PATH, in CUDA_PATH, in /usr/local/cuda and in python3's nvidia packages.
# Logs go to ./logs.
set -uo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" || exit 1

tests=0 sanitize=0 benches=0 bench_flags=(--benchmark_repetitions=5 --benchmark_report_aggregates_only=true)
for argument in "$@"; do
  case $argument in
    --tests) tests=1 ;;
    --sanitize) sanitize=1 ;;
    --benches) benches=1 ;;
    --quick) bench_flags=(--benchmark_min_time=0.05) ;;
    *) sed -n '2,7p' "$0" >&2; exit 2 ;;
  esac
done
((tests || sanitize || benches)) || tests=1 benches=1

[[ -d lib ]] || tar -xJf payload.tar.xz ||
  python3 -c 'import tarfile; tarfile.open("payload.tar.xz").extractall()' || exit 1
folders=("$PWD/lib")
for folder in "${CUDA_PATH:-/usr/local/cuda}"/{lib64,lib,targets/x86_64-linux/lib} \
  $(python3 -c 'import nvidia, glob, os
files = [f for p in nvidia.__path__ for f in glob.glob(p + "/**/libcublasLt.so*", recursive=True)]
print(*map(os.path.dirname, files))' 2>/dev/null); do
  [[ -d $folder ]] && folders+=("$folder")
done
LD_LIBRARY_PATH=$(IFS=:; echo "${folders[*]}")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
export BITGRAD_TEST_DEVICE=cuda  # for the tests that run on any device
mkdir -p logs
status=0

row() { printf '%-28s %8s %8s %8s %9s\n' "$@"; }

# run_tests NAME COMMAND...: runs a program of tests and prints a row of the table.
run_tests() {
  local name=$1 log=logs/$1.log start=$SECONDS code passed failed skipped
  "${@:2}" >"$log" 2>&1
  code=$?
  passed=$(grep -c '^\[       OK \]' "$log")
  failed=$(grep -cE '^\[  FAILED  \] .*\([0-9]+ ms\)$' "$log")
  skipped=$(grep -cE '^\[  SKIPPED \] .*\([0-9]+ ms\)$' "$log")
  # A crash or an error that a sanitizer finds is a failure, even if every test passed.
  if ((code != 0 && failed == 0)); then
    failed=$(sed -nE 's/.*ERROR SUMMARY: ([1-9][0-9]*) error.*/\1 errors/p
                      s/.*RACECHECK SUMMARY: ([1-9][0-9]*) hazard.*/\1 hazards/p' "$log" | tail -n 1)
    failed=${failed:-crash}
  fi
  row "$name" "$passed" "$failed" "$skipped" $((SECONDS - start))
  [[ $failed == 0 ]] && return
  status=1
  grep -E '^\[  FAILED|Failure|[Ee]rror|Race|element|cell' "$log" | head -n 40
}

if ((tests || sanitize)); then row test passed failed skipped seconds; fi
if ((tests)); then
  for program in tests/*; do run_tests "$(basename "$program")" "$program"; done
fi
if ((sanitize)); then
  sanitizer=$(command -v compute-sanitizer ||
    ls -d "${CUDA_PATH:-/usr/local/cuda}"/bin/compute-sanitizer /usr/local/cuda*/bin/compute-sanitizer 2>/dev/null |
      tail -n 1)
  for tool in memcheck racecheck; do
    if [[ -x $sanitizer ]]; then
      run_tests "$tool" "$sanitizer" --tool "$tool" --error-exitcode 99 tests/all_tests \
        --gtest_filter='*PackedGemm*:*CodedGemm*:*PackedConv2d*:*CodedConv2d*:*SignGemm*'
    else
      row "$tool" - - - -
      echo "  not run: there is no compute-sanitizer in PATH, CUDA_PATH/bin or /usr/local/cuda*/bin"
    fi
  done
fi
if ((benches)); then
  for program in benches/*; do
    name=$(basename "$program")
    echo "== $name"
    flags=("${bench_flags[@]}")
    case $name in cuda_training_step | cuda_frozen_*) flags+=(--device=cuda) ;; esac
    if ! "$program" "${flags[@]}" --benchmark_out="logs/$name.json" 2>"logs/$name.err"; then
      status=1
      tail -n 5 "logs/$name.err"
    fi
  done
fi
exit $status
