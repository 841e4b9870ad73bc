#!/bin/bash
# import_onnx as users call it: last line, exit status, one line on stderr for every error, and no file after one.
#
#   import_command_test.sh IMPORT_ONNX INSPECT NET.onnx
set -uo pipefail

import_onnx=$PWD/$1 inspect=$PWD/$2 net=$PWD/$3
source tests/testing/command_line.sh
after_error() { [[ ! -e out.bgm ]] || fail "$* has written a file"; }

head -c 5000 "$net" >cut.onnx
expect_error '--onnx=FILE is missing' "$import_onnx" --out=out.bgm
expect_error '--out=FILE is missing' "$import_onnx" --onnx="$net"
expect_error "'cut.onnx' is no ONNX model, or its end is missing" "$import_onnx" --onnx=cut.onnx --out=out.bgm
expect_error "cannot open 'missing.onnx'" "$import_onnx" --onnx=missing.onnx --out=out.bgm
expect_error "'1x8' is no extent" "$import_onnx" --onnx="$net" --out=out.bgm --input_shape=1x8
expect_error 'is not that of the input' "$import_onnx" --onnx="$net" --out=out.bgm --input_shape=1,9,9
expect_error "--pixels='half' is none of none, unit, signed" "$import_onnx" --onnx="$net" --out=out.bgm --pixels=half
expect_error '--out' "$import_onnx" --onnx=cut.onnx --out=cut.onnx

"$import_onnx" --onnx="$net" --out=out.bgm --pixels=unit --name=tfc --data_set=digits >stdout 2>stderr ||
  fail "import: $(cat stderr)"
[[ $(tail -n 1 stdout) == 'import: layers=3 packed=3 float=0' ]] || fail "last line: $(tail -n 1 stdout)"
[[ $(wc -l <stdout) == 4 ]] || fail "not a line for each layer: $(cat stdout)"
"$inspect" --model=out.bgm >stdout 2>stderr || fail "inspect: $(cat stderr)"
grep -q 'tfc' stdout || fail "no name in what inspect says"

finish
