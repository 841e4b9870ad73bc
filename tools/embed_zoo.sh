#!/bin/bash
# Writes the models of the zoo as sources:
#
#   embed_zoo.sh ASSEMBLY TABLE FILE...
#     ASSEMBLY    the bytes of the packed models: an assembler takes megabytes of numbers in no time, a compiler would
#                 not
#     TABLE       C++ that defines bitgrad::ZooModels()
#     FILE        NAME.bgm and NAME.textproto of each model, in any order
set -euo pipefail
assembly=$1 table=$2
shift 2

exec 3>"$assembly" 4>"$table"
echo '  .section .rodata' >&3
cat >&4 <<'HEAD'
#include "bitgrad/zoo/zoo.h"

HEAD
mapfile -t models < <(printf '%s\n' "$@" | grep '\.bgm$' | LC_ALL=C sort)
for model in "${models[@]}"; do
  name=$(basename "$model" .bgm)
  # Files are whole lines of 64 bytes (docs/packed_model_format.md), and little endian as the machine is.
  printf '  .balign 64\n  .globl bitgrad_zoo_%s\nbitgrad_zoo_%s:\n' "$name" "$name" >&3
  od -An -v -tx8 -w64 "$model" | sed 's/  */,0x/g; s/^,/  .quad /' >&3
  printf 'extern "C" const char bitgrad_zoo_%s[];\n' "$name" >&4
done
# Without this the linker gives programs a stack that can be executed.
echo '  .section .note.GNU-stack,"",%progbits' >&3

cat >&4 <<'MIDDLE'

namespace bitgrad {
namespace {
const ZooModel kModels[] = {
MIDDLE
for model in "${models[@]}"; do
  name=$(basename "$model" .bgm)
  printf '    {"%s", {bitgrad_zoo_%s, %s}, R"textproto(%s)textproto"},\n' \
    "$name" "$name" "$(stat -Lc %s "$model")" "$(cat "${model%.bgm}.textproto")" >&4
done
cat >&4 <<'TAIL'
};
}  // namespace
absl::Span<const ZooModel> ZooModels() { return kModels; }
}  // namespace bitgrad
TAIL
