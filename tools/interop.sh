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
# The virtual environments lie in ~/.cache/bitgrad (BITGRAD_CACHE), and are made anew when the packages change: one of
# ONNX Runtime, one of PyTorch and one of TensorBoard, for the scripts that need them.
set -euo pipefail

onnx_packages="numpy==2.4.6 onnx==1.23.2 onnxruntime==1.32.0 qonnx==1.0.0 setuptools==65.5.0"
torch_packages="torch==2.13.0 numpy==2.4.6 onnx==1.23.2 sympy==1.14.0 packaging safetensors==0.8.0 setuptools==80.9.0"
# Brevitas asks for older packages than it needs.
torch_alone="brevitas==0.13.4 dependencies==2.0.1 unfoldNd==0.2.3 onnxscript==0.7.2 onnx_ir==1.1.0 ml_dtypes==0.6.0
  qonnx==1.0.0 onnxoptimizer==0.4.2"

tensorboard_packages="tensorboard==2.21.0 numpy==2.4.6 pillow==13.0.0 protobuf==7.36.2 setuptools==80.9.0"

root=$(cd "$(dirname "$0")/.." && pwd)
cache=${BITGRAD_CACHE:-$HOME/.cache/bitgrad}
bin="" record=() arguments=()
for argument in "$@"; do
  case $argument in
    --bin=*) bin=$(cd "${argument#--bin=}" && pwd) ;;
    --record) record=("--record=$root/tests/export/onnx_answers.txt") ;;
    --help) sed -n '2,15s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) arguments+=("$argument") ;;
  esac
done

# environment NAME PACKAGES PACKAGES_WITHOUT_WHAT_THEY_ASK_FOR
environment() {
  local folder=$cache/$1
  [[ $(cat "$folder/packages" 2>/dev/null) != "$2 $3" ]] || return 0
  rm -rf "$folder"
  python3 -m venv "$folder"
  # shellcheck disable=SC2086
  "$folder/bin/pip" install --quiet --disable-pip-version-check $2
  # shellcheck disable=SC2086
  [[ -z $3 ]] || "$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps $3
  echo "$2 $3" >"$folder/packages"
}

if [[ -z $bin ]]; then
  targets=(//export:onnx //runtime:predict //runtime:inspect //tests/export:write_onnx_samples //export:import_onnx
    //tests/interop:run_model //models:train //models:evaluate //export:safetensors)
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
  case $name in
    import_brevitas | safetensors_torch) python=interop_torch && environment $python "$torch_packages" "$torch_alone" ;;
    tensorboard_reader) python=interop_tensorboard && environment $python "$tensorboard_packages" "" ;;
    *) python=interop && environment $python "$onnx_packages" "" ;;
  esac
  "$cache/$python/bin/python" "$script" --bin="$bin" "${extra[@]}" "${arguments[@]}" || status=1
done
exit $status
