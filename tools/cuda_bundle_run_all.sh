#!/bin/bash
# Runs the tests and benchmarks of a bundle (tools/cuda_bundle.sh) and prints a table of each. Exits non-zero if a test failed.
#
#   run_all [--tests] [--benches] [--quick]     neither: both; --quick: each benchmark once and briefly
# CUDA's cuBLASLt is looked for in LD_LIBRARY_PATH, in CUDA_PATH, /usr/local/cuda and python3's nvidia packages. Logs: ./logs.
set -uo pipefail
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")" || exit 1

tests=0 benches=0 bench_flags=(--benchmark_repetitions=5 --benchmark_report_aggregates_only=true)
for argument in "$@"; do
  case $argument in
    --tests) tests=1 ;;
    --benches) benches=1 ;;
    --quick) bench_flags=(--benchmark_min_time=0.05) ;;
    *) sed -n '2,5p' "$0" >&2; exit 2 ;;
  esac
done
((tests || benches)) || tests=1 benches=1

[[ -d lib ]] || tar -xzf payload.tar.gz || exit 1
folders=("$PWD/lib")
for folder in "${CUDA_PATH:-/usr/local/cuda}"/{lib64,lib,targets/x86_64-linux/lib} \
  $(python3 -c 'import nvidia, glob, os; print(*(os.path.dirname(f) for p in nvidia.__path__ for f in glob.glob(p + "/**/libcublasLt.so*", recursive=True)))' 2>/dev/null); do
  [[ -d $folder ]] && folders+=("$folder")
done
LD_LIBRARY_PATH=$(IFS=:; echo "${folders[*]}")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
mkdir -p logs
status=0

if ((tests)); then
  printf '%-28s %8s %8s %8s %9s\n' test passed failed skipped seconds
  for program in tests/*; do
    name=$(basename "$program")
    start=$SECONDS
    "$program" >"logs/$name.log" 2>&1
    code=$?
    passed=$(grep -c '^\[       OK \]' "logs/$name.log")
    failed=$(grep -cE '^\[  FAILED  \] .*\([0-9]+ ms\)$' "logs/$name.log")
    skipped=$(grep -cE '^\[  SKIPPED \] .*\([0-9]+ ms\)$' "logs/$name.log")
    # A crash is a failure though no test says so.
    ((code == 0 || failed > 0)) || failed=crash
    [[ $failed == 0 ]] || status=1
    printf '%-28s %8s %8s %8s %9s\n' "$name" "$passed" "$failed" "$skipped" $((SECONDS - start))
    [[ $failed == 0 ]] || grep -E '^\[  FAILED|Failure|error|element|cell' "logs/$name.log" | head -n 40
  done
fi
if ((benches)); then
  for program in benches/*; do
    name=$(basename "$program")
    echo "== $name"
    flags=("${bench_flags[@]}")
    case $name in cuda_training_step | cuda_frozen_*) flags+=(--device=cuda) ;; esac
    "$program" "${flags[@]}" --benchmark_out="logs/$name.json" 2>"logs/$name.err" || { status=1; tail -n 5 "logs/$name.err"; }
  done
fi
exit $status
