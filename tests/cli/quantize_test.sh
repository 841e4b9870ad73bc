#!/bin/bash
# Trains a float net on the built-in digits, quantizes it after training, and runs what became of it.
#
#   quantize_test.sh TRAIN QUANTIZE PREDICT INSPECT
set -euo pipefail

train=$PWD/$1 quantize=$PWD/$2 predict=$PWD/$3 inspect=$PWD/$4
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

recipe() {
  cat <<TEXT
name: "digits_mlp"
data { name: "digits" validation_examples: 500 }
model { mlp { hidden: 64 activation: "$1" $2 norm { epsilon: 1e-4 momentum: 0.1 } } }
loss: SQUARED_HINGE
optimizer { name: "adam" learning_rate: 1e-2 }
schedule { name: "exponential" final_learning_rate: 1e-3 }
epochs: 1
batch_size: 100
seed: 1
TEXT
}

run() {
  recipe "$2" "$3" >"$1.textproto"
  "$train" --recipe="$1.textproto" --out="$1" --threads=1 --set=data.limit=5000 >"$1.log" 2>&1 || fail "$(cat "$1.log")"
}

run float relu ""
for bits in 8 6 4; do
  out=$("$quantize" --checkpoint=float --calibration=50 --bits=$bits --out=net.bgm --threads=1)
  last=$(tail -n 1 <<<"$out")
  number='[0-9]+\.[0-9]+%'
  begin="quantize: modules=2 bits=$bits calibration=50 float_error="
  [[ $last =~ ^"$begin"$number\ quantized_error=($number)\ multiplications=0$ ]] || fail "the last line is '$last'"
  error=${BASH_REMATCH[1]}
  # The file gives what was said of it, but for images that the recipe's limit left out.
  predicted=$("$predict" --model=net.bgm --threads=1)
  [[ $predicted == *"predict: images="*" error="* ]] || fail "predict says '$predicted' of a model with error $error"
  "$inspect" --model=net.bgm | grep -q "linear >> .*twos_complement(8).*int32 sums, shifts" || fail "inspect"
done

expect_error "the training set has 5000 images; ask for at most as many" \
  "$quantize" --checkpoint=float --calibration=5001 --out=x.bgm
expect_error "--bits=9 is not in 4 .. 8" "$quantize" --checkpoint=float --bits=9 --out=x.bgm
expect_error "--calibration=0 is not positive" "$quantize" --checkpoint=float --calibration=0 --out=x.bgm
expect_error "--out=FILE is missing" "$quantize" --checkpoint=float
expect_error "is a checkpoint, which would be overwritten" \
  "$quantize" --checkpoint=float --out=float/checkpoint.bgc
run tanh tanh ""
expect_error "op 'tanh' cannot be computed by shifts" "$quantize" --checkpoint=tanh --out=x.bgm
run binary relu 'weight_quantizer: "sign"'
expect_error "freeze it instead: //export:freeze" "$quantize" --checkpoint=binary --out=x.bgm
[[ ! -e x.bgm ]] || fail "an error left a file"
