#!/bin/bash
# onnx as users call it: the last line, exit status, one line on stderr for every error, and nothing written then.
#
#   onnx_command_line_test.sh ONNX WRITE_SAMPLE_MODEL
set -uo pipefail

onnx=$PWD/$1 write_sample=$PWD/$2
source tests/testing/command_line.sh
after_error() { [[ ! -e no.onnx ]] || fail "a file in spite of the error of $*"; }

"$write_sample" net.bgm || fail "no sample model"

for dialect in plain qonnx qcdq; do
  "$onnx" --model=net.bgm --out=$dialect.onnx --dialect=$dialect >stdout 2>stderr || fail "$dialect: $(cat stderr)"
  line="^onnx: nodes=[0-9]+ bytes=$(stat -c %s $dialect.onnx) opset=13 dialect=$dialect model=$dialect.onnx\$"
  tail -n 1 stdout | grep -qE "$line" || fail "last line of $dialect: $(cat stdout)"
done
"$onnx" --help >stdout 2>stderr || fail "status of --help"
grep -q 'opset 13' stdout || fail "--help does not name the opset"

expect_error 'nothing to export; name a packed model, --model=FILE, or --checkpoint=FILE' "$onnx" --out=no.onnx
expect_error 'both --model and --checkpoint are given' "$onnx" --model=net.bgm --checkpoint=run --out=no.onnx
expect_error '--out=FILE is missing' "$onnx" --model=net.bgm
expect_error "unknown dialect 'qcdk' (did you mean 'qcdq'?)" "$onnx" --model=net.bgm --out=no.onnx --dialect=qcdk
expect_error "cannot open 'missing.bgm': No such file or directory" "$onnx" --model=missing.bgm --out=no.onnx
expect_error "No such file or directory" "$onnx" --model=net.bgm --out=missing/no.onnx
expect_error 'plain.onnx' "$onnx" --model=plain.onnx --out=no.onnx
expect_error "missing" "$onnx" --checkpoint=missing --out=no.onnx
expect_error '--out' "$onnx" --model=net.bgm --out=net.bgm
cp net.bgm other.bgm
expect_error 'is a checkpoint or a packed model, which would be overwritten' "$onnx" --model=net.bgm --out=other.bgm

finish
