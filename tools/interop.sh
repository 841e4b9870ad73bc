#!/bin/bash
# Runs every script of tests/interop/: bitgrad's files in the programs of others. A line for each check; the exit status
# is 1 if one failed.
#
#   tools/interop.sh [--bin=DIR] [--mnist=DIR] [--cifar10=DIR] [--images=N] [--record] [MODEL ...]
#
# MODEL: a packed model, or CHECKPOINT=PACKED_MODEL. --bin: a folder of built programs, which are built with bazelw
# otherwise. --record: writes tests/export/onnx_answers.txt anew. The scripts get --bin, the folders and the models that
# are named here; one that needs more than the packages below adds them. A file with a main() in that folder is all that
# a new script takes; models.py is what they share.
#
# The virtual environment lies in ~/.cache/bitgrad/interop (BITGRAD_CACHE), and is made anew when the packages change.
set -euo pipefail

packages="numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 qonnx==1.0.0 setuptools==65.5.0"

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${BITGRAD_CACHE:-$HOME/.cache/bitgrad}/interop
bin="" record=() arguments=()
for argument in "$@"; do
  case $argument in
    --bin=*) bin=$(cd "${argument#--bin=}" && pwd) ;;
    --record) record=("--record=$root/tests/export/onnx_answers.txt") ;;
    --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done

if [[ $(cat "$cache/packages" 2>/dev/null) != "$packages" ]]; then
  rm -rf "$cache"
  python3 -m venv "$cache"
  # shellcheck disable=SC2086
  "$cache/bin/pip" install --quiet --disable-pip-version-check $packages
  echo "$packages" >"$cache/packages"
fi

if [[ -z $bin ]]; then
  targets=(//export:onnx //runtime:predict //tests/export:write_onnx_samples)
  (cd "$root" && ./bazelw build "${targets[@]}" >&2)
  bin=$(mktemp -d)
  trap 'rm -rf "$bin"' EXIT
  for target in "${targets[@]}"; do
    path=${target#//}
    cp "$root/bazel-bin/${path/://}" "$bin/"
  done
fi

status=0
for script in "$root"/tests/interop/*.py; do
  name=$(basename "$script" .py)
  [[ $name == models ]] && continue
  extra=()
  [[ $name == onnx_runtime ]] && extra=("${record[@]}")
  echo "== $name"
  "$cache/bin/python" "$script" --bin="$bin" "${extra[@]}" "${arguments[@]}" || status=1
done
exit $status
