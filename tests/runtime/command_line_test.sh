#!/bin/bash
# predict and inspect as users call them: last lines, exit status, and one line on stderr for every error.
#
#   command_line_test.sh PREDICT INSPECT WRITE_SAMPLE_MODEL
set -uo pipefail

predict=$PWD/$1 inspect=$PWD/$2 write_sample=$PWD/$3
cd "$TEST_TMPDIR"
failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# expect_error TEXT COMMAND...: status 1, nothing but one line on stderr, and TEXT in it.
expect_error() {
  local text=$1
  shift
  "$@" >stdout 2>stderr
  local status=$?
  [[ $status == 1 ]] || fail "status $status of $*"
  [[ $(wc -l <stderr) == 1 ]] || fail "not one line on stderr of $*: $(cat stderr)"
  grep -qF -- "$text" stderr || fail "no '$text' in what $* says: $(cat stderr)"
}

# expect_last_line REGEX COMMAND...: status 0, nothing on stderr.
expect_last_line() {
  local regex=$1
  shift
  "$@" >stdout 2>stderr || fail "status $? of $*: $(cat stderr)"
  [[ ! -s stderr ]] || fail "$* says on stderr: $(cat stderr)"
  tail -n 1 stdout | grep -qE "^$regex\$" || fail "last line of $*: $(tail -n 1 stdout)"
}

"$write_sample" net.bgm || fail "no sample model"
bytes=$(stat -c %s net.bgm)

sizes="bytes_on_disk=$bytes predicted_bytes=$bytes float_bytes=31400"
expect_last_line "inspect: parameters=7850 $sizes ratio=[0-9]+\.[0-9]{2} float_layers=0" "$inspect" --model=net.bgm
grep -q 'int8 GEMM' stdout || fail "no kernel in the table"
expect_last_line 'predict: images=10000 error=[0-9]+\.[0-9]{2}% images_per_second=[0-9]+' \
  "$predict" --model=net.bgm --threads=1 --batch=64
error=$(grep -o 'error=[^ ]*' stdout)
expect_last_line "predict: images=10000 $error images_per_second=[0-9]+" \
  "$predict" --model net.bgm --threads 2 --batch 10001

# Relative paths are meant from where the user stands.
mkdir -p elsewhere
(cd elsewhere && BUILD_WORKING_DIRECTORY=$TEST_TMPDIR "$inspect" --model=net.bgm >/dev/null) || fail "working directory"

for program in "$predict" "$inspect"; do
  "$program" --help >stdout 2>stderr || fail "status of --help"
  grep -q -- '--model' stdout || fail "--help without flags"
  expect_error 'no model given; name a packed model: --model=FILE' "$program"
  expect_error "cannot open 'missing.bgm': No such file or directory" "$program" --model=missing.bgm
  expect_error "'elsewhere' is a folder, not a packed model" "$program" --model=elsewhere
  expect_error "unknown flag --modle (did you mean '--model'?)" "$program" --modle=net.bgm
  expect_error 'unexpected argument "net.bgm"' "$program" net.bgm
  expect_error 'flag --model has no value' "$program" --model
  head -c 640 net.bgm >cut.bgm
  expect_error "packed model 'cut.bgm': the file is cut off" "$program" --model=cut.bgm
  head -c 640 /dev/zero >zero.bgm
  expect_error "'zero.bgm': the magic number" "$program" --model=zero.bgm
done
expect_error 'cannot write the output' bash -c "'$inspect' --model=net.bgm >/dev/full"
expect_error '--batch=0 is not positive' "$predict" --model=net.bgm --batch=0
expect_error '--batch=-5 is not positive' "$predict" --model=net.bgm --batch=-5
expect_error '--threads=-1 is not in' "$predict" --model=net.bgm --threads=-1
expect_error "Illegal value 'many' specified for flag 'batch'" "$predict" --model=net.bgm --batch=many
expect_error "Illegal value '99999999999' specified for flag 'batch'" "$predict" --model=net.bgm --batch=99999999999
"$write_sample" mnist.bgm mnist || fail "no sample model for mnist"
expect_error 'data_dir' "$predict" --model=mnist.bgm
expect_error 'nowhere' "$predict" --model=mnist.bgm --data_dir=nowhere
"$write_sample" other.bgm no_such_data || fail "no sample model for other data"
expect_error 'no_such_data' "$predict" --model=other.bgm
"$write_sample" none.bgm "" || fail "no sample model without data"
expect_error 'names no data set' "$predict" --model=none.bgm

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
