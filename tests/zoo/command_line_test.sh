#!/bin/bash
# Models of the zoo, and images of the user's, as users name them on the command line.
#
#   command_line_test.sh PREDICT INSPECT GENERATE EVALUATE CHECKPOINT IMAGE
set -uo pipefail

predict=$PWD/$1 inspect=$PWD/$2 generate=$PWD/$3 evaluate=$PWD/$4 checkpoint=$PWD/$5 seven=$PWD/$6
source tests/testing/command_line.sh
after_error() { [[ ! -s stdout ]] || fail "$* says on stdout: $(cat stdout)"; }

# Names.
for program in "$predict --model" "$inspect --model" "$generate --model" \
  "$evaluate --checkpoint=$checkpoint --packed"; do
  # shellcheck disable=SC2086
  expect_error "unknown model 'zoo:mnist_bnn_mpl' of the zoo (did you mean 'mnist_bnn_mlp'?); known: " \
    $program=zoo:mnist_bnn_mpl
  "${program%% *}" --help >stdout || fail "status of --help of $program"
  grep -qE '^  mnist_bnn_mlp +.*[0-9.]+ % test error$' stdout || fail "--help of $program does not list the zoo"
done
expect_error "cannot open './zoo:mnist_bnn_mlp'" "$predict" --model=./zoo:mnist_bnn_mlp
expect_error 'data_dir' "$predict" --model=zoo:mnist_bnn_mlp

expect_last_line 'inspect: parameters=2916372 bytes_on_disk=408320 predicted_bytes=408320 .* float_layers=0' \
  "$inspect" --model=zoo:mnist_bnn_mlp
grep -q "^zoo:mnist_bnn_mlp: 'mnist_bnn_mlp_small'" stdout || fail "inspect does not name the model: $(head -1 stdout)"
grep -q '^trained: --recipe=mnist_bnn_mlp_small (20 epochs, seed 1)$' stdout || fail "inspect has no recipe"
grep -q '^data: MNIST' stdout || fail "inspect does not say of which data"

# An image of the user's.
score='-?[0-9.]+(e[+-][0-9]+)?'
expect_last_line "predict: class=7 score=$score" "$predict" --model=zoo:mnist_bnn_mlp --image="$seven"
cp stdout first
[[ $(grep -cE "^[0-9] +$score\$" first) == 3 ]] || fail "not three classes: $(cat first)"
[[ $(sed -n '/^[ .:=+*#%@-]*$/p' first | wc -l) == 14 ]] || fail "no drawing of 14 lines: $(cat first)"
grep -q '@' first || fail "no stroke in the drawing: $(cat first)"
! grep -q note first || fail "a note where there is nothing to note: $(cat first)"
(cd / && "$predict" --model=zoo:mnist_bnn_mlp --image="$seven" --threads=1) | cmp -s - first ||
  fail "another answer in another folder"
mkdir -p here && cp "$seven" here/my.png
(cd / && BUILD_WORKING_DIRECTORY=$TEST_TMPDIR/here "$predict" --model=zoo:mnist_bnn_mlp --image=my.png) |
  cmp -s - first || fail "a relative path is not from where the user stands"
expect_last_line "predict: class=[a-z]+ score=$score" "$predict" --model=zoo:cifar10_4bit_vgg_tiny --image="$seven"
grep -q '^note: 28x28 pixels became 32x32: the shorter side was resized' stdout || fail "no word of another size"
expect_last_line 'predict: class=.*' "$predict" --model=zoo:mnist_bnn_mlp --image="$seven" --invert
grep -q '^note: the image is light at its border, .*without --invert' stdout || fail "no word of a light border"

expect_error "cannot open 'missing.png': No such file or directory" \
  "$predict" --model=zoo:mnist_bnn_mlp --image=missing.png
echo 'seven' >seven.txt
expect_error "'seven.txt': neither a JPEG nor a PNG file" "$predict" --model=zoo:mnist_bnn_mlp --image=seven.txt
: >empty.png
expect_error "'empty.png': the file is empty" "$predict" --model=zoo:mnist_bnn_mlp --image=empty.png
head -c 150 "$seven" >cut.png
expect_error "'cut.png': truncated or damaged" "$predict" --model=zoo:mnist_bnn_mlp --image=cut.png
expect_error "'here'" "$predict" --model=zoo:mnist_bnn_mlp --image=here
expect_error '--invert is for the image of --image=FILE' "$predict" --model=zoo:mnist_bnn_mlp --invert
expect_error 'flag --image= is empty' "$predict" --model=zoo:mnist_bnn_mlp --image=
expect_error "packed model 'zoo:mnist_bnn_mlp' is no model of text" "$generate" --model=zoo:mnist_bnn_mlp

finish
