#!/bin/bash
# //export:c_source as users call it: its last line, its files, and one line on stderr for every error.
#
#   c_source_command_line_test.sh C_SOURCE WRITE_SAMPLE_MODEL
set -uo pipefail

c_source=$PWD/$1 write_sample=$PWD/$2
source tests/testing/command_line.sh
after_error() {
  [[ ! -e none ]] || fail "$* has written something"
  rm -rf none
}

"$write_sample" net.bgm || fail "no sample model"

"$c_source" --model=net.bgm --out=digits --name=digits --raw >stdout 2>stderr || fail "status $?: $(cat stderr)"
[[ ! -s stderr ]] || fail "stderr: $(cat stderr)"
tail -n 1 stdout | grep -qE '^c_source: flash_bytes=[0-9]+ scratch_bytes=[0-9]+ golden_vectors=8 out=digits$' ||
  fail "last line: $(tail -n 1 stdout)"
gcc -std=c99 -Wall -Wextra -Werror -pedantic -O1 digits/digits.c digits/digits_test.c -o digits_test || fail "gcc"
./digits_test >stdout || fail "golden vectors: $(cat stdout)"
grep -qx 'digits_test: golden_vectors=8 equal=8' stdout || fail "test says $(cat stdout)"
# 10 rows of 784 bits.
[[ $(stat -c %s digits/digits_0.bin) == 980 ]] || fail "size of the raw array"
grep -q '"file": "digits_0.bin"' digits/digits_manifest.json || fail "manifest"
# C++ reads the header, too.
printf '#include "digits.h"\nint main() { return DIGITS_OUTPUTS == 10 ? 0 : 1; }\n' >main.cc
g++ -Idigits main.cc -o main && ./main || fail "C++"

expect_error "no model given; name a packed model: --model=FILE" "$c_source" --out=none
expect_error "--out=FOLDER is missing" "$c_source" --model=net.bgm
expect_error "no C identifier" "$c_source" --model=net.bgm --out=none --name=9
expect_error "missing.bgm" "$c_source" --model=missing.bgm --out=none
expect_error "is no folder" "$c_source" --model=net.bgm --out=main.cc

finish
