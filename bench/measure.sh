#!/bin/bash
# Measures all figures in one go, in less than twenty minutes on two cores: every suite with repetitions, the other
# frameworks beside bitgrad, and the plots. The machine should be otherwise idle; every file begins with the load
# average.
#
#   bench/measure.sh DIRECTORY
#
# DIRECTORY gets NAME.json and NAME.txt of every suite, and peers_NAME.json and .txt (Markdown tables) of every
# comparison. docs/images/ gets the plots. The comparisons and the plots need Python with bench/peers/requirements.txt;
# the variable PYTHON names the interpreter (default: python3). Where a part fails, its .txt says why, the others still
# run, and the exit status is 1.
set -uo pipefail

[[ $# == 1 ]] || { echo "usage: bench/measure.sh DIRECTORY" >&2; exit 2; }
mkdir -p -- "$1" || exit 1
out=$(cd -- "$1" && pwd)
cd -- "$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")/.." || exit 1
python=${PYTHON:-python3}
failed=0

# Everything except the other frameworks' runs is built before anything is timed.
./bazelw build //bench:coded_gemm //bench:data_loader //bench:pack //bench:packed_conv2d //bench:packed_conv_net \
  //bench:packed_gemm //bench:packed_mlp //bench:sign_gemm //bench:training_step || exit 1
bin=$PWD/bazel-bin/bench

# part NAME COMMAND...: runs the command; its output goes to NAME.txt.
part() {
  local start=$SECONDS
  echo "$1 ..." >&2
  if ! "${@:2}" >"$out/$1.txt" 2>&1; then
    echo "$1 failed: see $out/$1.txt" >&2
    failed=1
  fi
  echo "$1: $((SECONDS - start)) s" >&2
}

# suite NAME PROGRAM REPETITIONS SECONDS [FLAG...]: runs a suite; reports medians and how much the repetitions differ.
suite() {
  part "$1" "$bin/$2" --benchmark_repetitions="$3" --benchmark_min_time="$4" --benchmark_report_aggregates_only=true \
    --benchmark_counters_tabular=true --benchmark_out="$out/$1.json" "${@:5}"
}

suite packed_gemm_square packed_gemm 3 0.2 --benchmark_filter=/square/
suite packed_gemm_layers packed_gemm 3 0.03 --benchmark_filter=-/square/
suite packed_gemm_avx2 packed_gemm 3 0.05 --hwy_target=AVX2 '--benchmark_filter=^Packed/square/n(512|1024|2048)/'
suite packed_conv2d packed_conv2d 3 0.03
suite packed_conv_net packed_conv_net 3 0.1
suite coded_gemm coded_gemm 3 0.03
suite data_loader data_loader 3 0.5
suite pack pack 5 0.1
suite sign_gemm sign_gemm 3 0.1
suite packed_mlp packed_mlp 5 0.1
suite training_step training_step 5 0.5
suite training_sweep training_step 3 0.2 --sweep

part peers_training_step "$python" bench/peers/training_step.py --bitgrad="$bin/training_step" \
  --seconds=0.3 --rounds=2 \
  --out="$out/peers_training_step.json"
# The runs above use PyTorch with its defaults, those below use it at its best.
part peers_training_step_mkl "$python" bench/peers/training_step.py --bitgrad="$bin/training_step" --seconds=0.5 \
  --mkl_as_on_intel --out="$out/peers_training_step_mkl.json"
part peers_inference "$python" bench/peers/inference.py --bitgrad="$bin/packed_mlp" --seconds=0.2 --mkl_as_on_intel \
  --out="$out/peers_inference.json"
part plots "$python" bench/plot.py --packed_gemm="$out/packed_gemm_square.json" \
  --training_step="$out/training_sweep.json"

exit "$failed"
