#!/bin/bash
# predict, inspect, generate and latency as users call them: last lines, exit status, and one line on stderr for every
# error.
#
#   command_line_test.sh PREDICT INSPECT WRITE_SAMPLE_MODEL GENERATE LATENCY
set -uo pipefail

predict=$PWD/$1 inspect=$PWD/$2 write_sample=$PWD/$3 generate=$PWD/$4 latency=$PWD/$5
source tests/testing/command_line.sh

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
expect_last_line "predict: images=10000 $error images_per_second=[0-9]+" "$predict" --model=net.bgm --logits=logits.f32
[[ $(stat -c %s logits.f32) == $((10000 * 10 * 4)) ]] || fail "not 10 floats for each of 10000 images"
expect_error "--logits" "$predict" --model=net.bgm --logits=net.bgm
expect_error "--logits is for the test images" "$predict" --model=net.bgm --image=none.png --logits=answers.f32

# Relative paths are meant from where the user stands.
mkdir -p elsewhere
(cd elsewhere && BUILD_WORKING_DIRECTORY=$TEST_TMPDIR "$inspect" --model=net.bgm >/dev/null) || fail "working directory"

for program in "$predict" "$inspect" "$generate" "$latency"; do
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

# Images that the model cannot take are told apart from files that are none.
expect_error "'none.bgm': neither a JPEG nor a PNG file" "$predict" --model=none.bgm --image=none.bgm

# Models of text.
"$write_sample" text.bgm words || fail "no sample model of text"
expect_error "--logits is for the test images" "$predict" --model=text.bgm --logits=answers.f32
[[ ! -e answers.f32 ]] || fail "answers in spite of an error"
expect_last_line 'inspect: .*' "$inspect" --model=text.bgm
grep -qx 'takes tokens: 37 words' stdout || fail "inspect does not say what the model takes"
grep -qx 'state: lstm/h \[30\]' stdout || fail "inspect does not name the states"
grep -qE '^per token: bit_macs=[0-9]+ integer_macs=[0-9]+ float_macs=0 bytes_read=[0-9]+ state_bytes=240$' stdout ||
  fail "inspect does not say what a token costs: $(grep 'per token' stdout)"
mkdir -p text
printf 'word3 word4 nobody word5\nword6\n%.0s' {1..30} >text/test.txt
expect_last_line 'predict: tokens=210 perplexity=[0-9]+\.[0-9]{2} tokens_per_second=[0-9]+' \
  "$predict" --model=text.bgm --data_dir=text
perplexity=$(grep -o 'perplexity=[^ ]*' stdout)
grep -q 'note: 30 of the 210 tokens of the text are unknown' stdout || fail "predict does not tell of unknown words"
expect_last_line "predict: tokens=210 $perplexity tokens_per_second=[0-9]+" \
  "$predict" --model=text.bgm --data_dir=text --threads=1
expect_error 'data_dir' "$predict" --model=text.bgm
expect_error "packed model 'text.bgm' takes tokens, not images" "$predict" --model=text.bgm --image=text.bgm
expect_error '--streams=0 is not positive' "$predict" --model=text.bgm --data_dir=text --streams=0
expect_last_line '.*' "$generate" --model=text.bgm --prompt='word3 word4' --length=30 --seed=7
cp stdout first
grep -qE '^word3 word4( |$)' first || fail "generate does not begin with the prompt: $(head -1 first)"
[[ $(tr -s ' \n' '\n' <first | grep -c .) -le 32 ]] || fail "generate writes more than it should"
expect_last_line '.*' "$generate" --model=text.bgm --prompt='word3 word4' --length=30 --seed=7
cmp -s stdout first || fail "another text with the same seed"
"$generate" --model=text.bgm --prompt='word3 nobody else nobody' --length=2 >stdout 2>stderr ||
  fail "status of generate"
grep -qx "note: the model does not know these and reads '<unk>' instead: nobody else" stderr ||
  fail "unknown words: $(cat stderr)"
grep -q '^word3 <unk> <unk> <unk>' stdout || fail "the prompt with unknown words: $(cat stdout)"
expect_error "packed model 'net.bgm' is no model of text" "$generate" --model=net.bgm
expect_error 'temperature -1 is not' "$generate" --model=text.bgm --temperature=-1
expect_error 'length -1 is negative' "$generate" --model=text.bgm --length=-1

# How long it takes.
percentiles='p50_us=[0-9.]+ p90_us=[0-9.]+ p99_us=[0-9.]+'
expect_last_line "latency: $percentiles images_per_second=[1-9][0-9]* peak_bytes=[1-9][0-9]*" \
  "$latency" --model=net.bgm --seconds=0.2
grep -qE '^warm +[0-9]+( +[0-9.]+){4}$' stdout || fail "no warm runs: $(cat stdout)"
grep -qE '^cold +[0-9]+( +[0-9.]+){4}$' stdout || fail "no cold runs: $(cat stdout)"
awk '$1 == "warm" || $1 == "cold" { good += 0 < $3 && $3 <= $4 && $4 <= $5 && $5 <= $6 } END { exit good != 2 }' \
  stdout || fail "percentiles do not ascend: $(cat stdout)"
expect_last_line "latency: $percentiles tokens_per_second=[1-9][0-9]* peak_bytes=[1-9][0-9]*" \
  "$latency" --model=text.bgm --seconds=0.01 --batch=3 --load=2 --threads=2
grep -qF 'load: interpreters=2 threads=2' stdout || fail "latency does not say the load: $(cat stdout)"
grep -qE '^note: only [0-9]+ cold runs' stdout || fail "latency does not say that there are few runs: $(cat stdout)"
expect_last_line "latency: .*" "$latency" --model=net.bgm --seconds=0.01 --load=$(($(nproc) + 1))
grep -qE '^note: [0-9]+ threads share [0-9]+ cores' stdout || fail "latency does not say that cores are few"
expect_error '--load=0 is not in 1 .. 1024' "$latency" --model=net.bgm --load=0
expect_error '--load=513 is not in 1 .. 512' "$latency" --model=net.bgm --load=513 --threads=2
expect_error '--batch=0 is not positive' "$latency" --model=net.bgm --batch=0
expect_error '--threads=-1 is not in' "$latency" --model=net.bgm --threads=-1
expect_error '--seconds=0 is not in' "$latency" --model=net.bgm --seconds=0
expect_error '--seconds=nan is not in' "$latency" --model=net.bgm --seconds=nan
expect_error "Illegal value 'soon' specified for flag 'seconds'" "$latency" --model=net.bgm --seconds=soon

finish
