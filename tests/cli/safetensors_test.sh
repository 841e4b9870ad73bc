#!/bin/bash
# Takes the weights of a net that was trained on the built-in digits out to a safetensors file and brings them into
# another net's checkpoint, which answers like the first one and trains on.
#
#   safetensors_test.sh TRAIN SAFETENSORS EVALUATE
set -euo pipefail

train=$PWD/$1 safetensors=$PWD/$2 evaluate=$PWD/$3
cd "$TEST_TMPDIR"

fail() {
  echo "FAIL: $*" >&2
  exit 1
}

# Runs a program that has to fail, with one line on stderr that has the text.
expect_error() {
  local text=$1 err
  shift
  if err=$("$@" 2>&1 >/dev/null); then fail "no error: $*"; fi
  [[ $err == *"$text"* && $(wc -l <<<"$err") == 1 ]] || fail "'$*' says '$err', not '$text'"
}

run() {
  "$train" --recipe=digits_bnn_mlp --out="$1" --threads=1 --set=data.limit=2000 --set=model.mlp.hidden=64 \
    --set=data.validation_examples=200 --epochs=2 "${@:2}" >"$1.log" 2>&1 || fail "$(cat "$1.log")"
}

run first
run second --set=seed=2

out=$("$safetensors" --checkpoint=first --out=net.safetensors)
last=$(tail -n 1 <<<"$out")
bytes=$(stat -c %s net.safetensors)
[[ $last == "safetensors: tensors=10 bytes=$bytes out=net.safetensors" ]] || fail "the last line is '$last'"

mkdir third
out=$("$safetensors" --checkpoint=second --from=net.safetensors --out=third/checkpoint.bgc)
last=$(tail -n 1 <<<"$out")
expected="safetensors: tensors=10 replaced=10 checkpoint=third/checkpoint.bgc"
[[ $last == "$expected" ]] || fail "the last line is '$last'"
[[ $("$evaluate" --checkpoint=first --threads=1 | tail -n 1) == \
  $("$evaluate" --checkpoint=third/checkpoint.bgc --threads=1 | tail -n 1) ]] || fail "another test error"

# A run that begins with these weights.
"$train" --resume --out=third --threads=1 >third.log 2>&1 || fail "$(cat third.log)"
grep -q "resumed: 0 of 2 epochs are done" third.log || fail "$(cat third.log)"
loss() { sed -n 's/^epoch 1\/2 .*loss \([0-9.]*\).*/\1/p' "$1.log"; }
awk -v new="$(loss third)" -v old="$(loss second)" 'BEGIN { exit !(new > 0 && new < 0.85 * old) }' ||
  fail "the first epoch's loss is $(loss third) with the weights of a trained net and $(loss second) without"
expect_error "holds no optimizer state" bash -c "cp first/best.bgc third/checkpoint.bgc
  '$train' --resume --out=third --threads=1"

# Names of another framework, there and back.
cat >net.names <<'TEXT'
hidden1/weight = fc1.weight
output/weight = fc2.weight transpose   # [in, out]
TEXT
"$safetensors" --checkpoint=first --names=net.names --out=other.safetensors >/dev/null
grep -q '"fc2.weight":{"dtype":"F32","shape":\[64,10\]' other.safetensors || fail "no fc2.weight"
"$safetensors" --checkpoint=second --from=other.safetensors --names=net.names --out=back.bgc >/dev/null
"$safetensors" --checkpoint=back.bgc --out=back.safetensors >/dev/null
cmp net.safetensors back.safetensors || fail "other weights came back"

expect_error "--checkpoint=FILE is missing" "$safetensors" --out=x
expect_error "--out=FILE is missing" "$safetensors" --checkpoint=first
expect_error "lacks 2 parameters (hidden1/weight, output/weight)" \
  "$safetensors" --checkpoint=second --from=other.safetensors --out=x
expect_error "net.names:2: unknown layout 'turned'" bash -c "sed -i s/transpose/turned/ net.names
  '$safetensors' --checkpoint=second --from=other.safetensors --names=net.names --out=x"
expect_error "is a checkpoint, which would be overwritten" \
  "$safetensors" --checkpoint=second --from=net.safetensors --out=first/checkpoint.bgc
expect_error "net.safetensors" "$safetensors" --checkpoint=second --from=net.safetensors --out=net.safetensors
expect_error "it is a checkpoint of bitgrad: name it by --checkpoint" \
  "$safetensors" --checkpoint=second --from=first/best.bgc --out=x
expect_error "--allow_extra is for --from=FILE" "$safetensors" --checkpoint=first --allow_extra --out=x
head -c 5000 net.safetensors >cut.safetensors
expect_error "cut.safetensors" "$safetensors" --checkpoint=second --from=cut.safetensors --out=x
[[ ! -e x ]] || fail "an error left a file"
