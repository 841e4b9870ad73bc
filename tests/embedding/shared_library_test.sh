#!/bin/bash
# libbitgrad_runtime.so: what it shows, what it needs, and that programs without C++ load and run it.
#
#   shared_library_test.sh LIBRARY LOADED_LIBRARY LINKED_LIBRARY RUN_IN_C WRITE_SAMPLE_MODEL
set -uo pipefail

library=$PWD/$1 loaded=$PWD/$2 linked=$PWD/$3 run_in_c=$PWD/$4 write_sample=$PWD/$5
consumers=$PWD/tests/consumers embedding=$PWD/docs/embedding.md header=$PWD/runtime/c_api.h
cd "$TEST_TMPDIR"
failures=0

fail() {
  echo "FAIL: $*"
  failures=$((failures + 1))
}

# All functions of the header, and nothing else.
shown=$(nm -D --defined-only "$library" | awk '{ print $NF }' | sort -u)
declared=$(sed -n '/^BITGRAD_API/s/.*[ *]\(bitgrad_[a-z_]*\)(.*/\1/p' "$header" | sort -u)
[[ $(wc -l <<<"$declared") -ge 25 ]] || fail "only these functions were found in the header: $declared"
diff <(echo "$declared") <(echo "$shown") || fail "'<': only in the header; '>': only in the library"

abi=$(sed -n 's/^#define BITGRAD_ABI_VERSION //p' "$header")
readelf -d "$library" | grep -qF "Library soname: [libbitgrad_runtime.so.$abi]" || fail "the SONAME is not ABI $abi's"

# What docs/embedding.md names.
needed=$(readelf -d "$library" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p')
known='^(libc|libm|libstdc\+\+|libgcc_s|libgomp|ld-linux-.*|libprotobuf|libz|libhwy|libdnnl|libabsl_[a-z_]*)\.so(\.|$)'
if grep -vE "$known" <<<"$needed"; then fail "the library needs those above"; fi

"$write_sample" net.bgm || fail "no sample model"
"$loaded" "$library" net.bgm >results || fail "status $? of loaded_library"
[[ $(wc -l <results) == 100 ]] || fail "$(wc -l <results) results"
cmp <(head -n 50 results) <(tail -n 50 results) || fail "other results the second time"
cmp <(head -n 50 results) <("$linked" - net.bgm) || fail "other results than those of the archives"

# The examples in C and Python give the same, and are shown as they are.
in_c=$("$run_in_c" net.bgm) || fail "status $? of run_my_net.c"
[[ $(wc -w <<<"$in_c") == 11 ]] || fail "run_my_net.c says '$in_c'"
"$run_in_c" missing.bgm 2>stderr && fail "a missing file was taken"
[[ $(cat stderr) == "bitgrad_model_load: cannot open 'missing.bgm': No such file or directory; check the path" ]] ||
  fail "of a missing file: $(cat stderr)"
if command -v python3 >/dev/null; then
  in_python=$(python3 "$consumers/run_my_net.py" "$library" net.bgm) || fail "status $? of run_my_net.py"
  [[ $in_python == "$in_c" ]] || fail "Python says '$in_python', C '$in_c'"
  python3 "$consumers/run_my_net.py" "$library" missing.bgm 2>stderr && fail "a missing file was taken in Python"
  grep -q "^bitgrad_model_load: cannot open 'missing.bgm'" stderr || fail "Python of a missing file: $(cat stderr)"
else
  echo "python3 is not here: run_my_net.py was not run"
fi

# shown LANGUAGE: the code of the document's block in this language.
shown() { awk -v begin="\`\`\`$1" '$0 == begin { inside = 1; next } /^```$/ { inside = 0 } inside' "$embedding"; }
[[ $(shown c) == "$(sed -n '/^#include <stdint/,$p' "$consumers/run_my_net.c")" ]] ||
  fail "docs/embedding.md shows another program than run_my_net.c"
[[ $(shown python) == "$(sed -n '/^import ctypes/,$p' "$consumers/run_my_net.py")" ]] ||
  fail "docs/embedding.md shows another program than run_my_net.py"

[[ $failures == 0 ]] || { echo "$failures failures"; exit 1; }
