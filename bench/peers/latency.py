"""Latency of ONNX models in ONNX Runtime, float and int8, and of packed models in bitgrad, in turns.

  python3 bench/peers/latency.py net.onnx [more.onnx] [--model=net.bgm,...]

float          the model as it is
int8 dynamic   weights in int8, activations quantized while it runs (quantize_dynamic)
int8 static    both in int8, with ranges found on random inputs (quantize_static, QDQ): good for times, not for answers
bitgrad        //runtime:latency on the packed models

Percentiles are those of runtime/latency.h: nearest rank, of all runs behind the warm-up. Cold runs come behind a walk
over more memory than the last cache holds. A variant that ONNX Runtime cannot make or run is skipped with a message.
"""

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

import common

WARM_UP = 20
FEW_RUNS = 100
LEVEL3_CACHE_SIZE = 194  # _SC_LEVEL3_CACHE_SIZE of glibc, for which Python has no name
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int32)": np.int32, "tensor(int64)": np.int64}


def percentile(ascending, p):
  """The smallest sample that is not below p percent of them."""
  return ascending[max(1, math.ceil(p * len(ascending) / 100 - 1e-9)) - 1]


def random_inputs(session, batch, tokens, seed):
  """Values for all inputs of the model. The first dimension that has no number is the batch, further ones are 1."""
  random = np.random.default_rng(seed)
  result = {}
  for value in session.get_inputs():
    if value.type not in TYPES:
      raise ValueError(f"input '{value.name}' is of type {value.type}, which this program does not know")
    free = [i for i, size in enumerate(value.shape) if not isinstance(size, int)]
    shape = [size if isinstance(size, int) else batch if i == free[0] else 1 for i, size in enumerate(value.shape)]
    if batch > 1 and not free:
      raise ValueError(f"input '{value.name}' has the fixed shape {shape}; export it with a free batch")
    dtype = TYPES[value.type]
    if dtype == np.float32:
      result[value.name] = random.uniform(-1, 1, shape).astype(dtype)
    else:
      result[value.name] = random.integers(0, 256 if dtype == np.uint8 else tokens, shape).astype(dtype)
  return result


class RandomCalibration(CalibrationDataReader):
  """A few random inputs, for quantize_static."""

  def __init__(self, session, tokens):
    self._left = [random_inputs(session, 1, tokens, seed) for seed in range(8)]

  def get_next(self):
    return self._left.pop() if self._left else None


def open_session(path, threads):
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = threads
  options.inter_op_num_threads = 1
  options.log_severity_level = 3
  return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def quantized(path, directory, tokens):
  """{variant: path}, of those that can be made."""
  made = {"float": path}
  stem = os.path.join(directory, os.path.basename(path))

  def dynamic(out):
    quantize_dynamic(path, out, weight_type=QuantType.QInt8)

  def static(out):
    quantize_static(path, out, RandomCalibration(open_session(path, 1), tokens), quant_format=QuantFormat.QDQ,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)

  for variant, make in [("int8 dynamic", dynamic), ("int8 static", static)]:
    out = f"{stem}.{variant.replace(' ', '_')}.onnx"
    try:
      make(out)
      made[variant] = out
    except Exception as error:  # whatever the quantizer raises: the variant is skipped, with a message
      print(f"{path}, {variant}: cannot be made: {type(error).__name__}: {error}", file=sys.stderr)
  return made


def timed(run, seconds, before=lambda: None):
  """The seconds of each run for about `seconds`, ascending; before() is called ahead of each and not timed."""
  for _ in range(WARM_UP):
    run()
  times = []
  end = time.perf_counter() + seconds
  while not times or time.perf_counter() < end:
    before()
    start = time.perf_counter()
    run()
    times.append(time.perf_counter() - start)
  return sorted(times)


def bitgrad_program(path):
  if path:
    return path
  subprocess.run([os.path.join(common.ROOT, "bazelw"), "build", "//runtime:latency"], check=True,
                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  return os.path.join(common.ROOT, "bazel-bin", "runtime", "latency")


def bitgrad_rows(program, model, args):
  """{"warm": row, "cold": row} from the table of //runtime:latency; a row is (runs, p50, p90, p99), microseconds."""
  result = subprocess.run([program, f"--model={model}", f"--threads={args.threads}", f"--batch={args.batch}",
                           f"--seconds={args.seconds}"], text=True, capture_output=True)
  if result.returncode != 0:
    sys.exit(f"{' '.join(result.args)} failed:\n{result.stdout}{result.stderr}")
  words = [line.split() for line in result.stdout.splitlines()]
  return {w[0]: (int(w[1]), float(w[2]), float(w[3]), float(w[4])) for w in words if w and w[0] in ("warm", "cold")
          and len(w) == 6}


def row_of(times):
  return (len(times),) + tuple(1e6 * percentile(times, p) for p in (50, 90, 99))


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)
  parser.add_argument("onnx", nargs="*", metavar="FILE.onnx")
  parser.add_argument("--model", default="", metavar="FILE.bgm,...", help="packed models, for bitgrad")
  parser.add_argument("--bitgrad", metavar="PATH", help="the program runtime/latency; built with ./bazelw unless given")
  parser.add_argument("--threads", type=int, default=1)
  parser.add_argument("--batch", type=int, default=1)
  parser.add_argument("--seconds", type=float, default=2.0,
                      help="for how long warm runs are timed, and cold ones again")
  parser.add_argument("--tokens", type=int, default=10, help="integer inputs are below this")
  parser.add_argument("--rounds", type=int, default=1, help="all take turns; the round with the least p50 is shown")
  parser.add_argument("--out", metavar="FILE", help="also writes all figures as JSON")
  args = parser.parse_args()
  models = [model for model in args.model.split(",") if model]
  if not args.onnx and not models:
    parser.error("name ONNX files, or packed models with --model")
  logging.disable(logging.WARNING)  # hides ONNX Runtime's advice on how to preprocess
  program = bitgrad_program(args.bitgrad) if models else None
  memory = np.ones(max(64 << 20, 2 * os.sysconf(LEVEL3_CACHE_SIZE)), dtype=np.uint8)
  figures = {}  # {(file, variant, "warm" or "cold"): [row of each round]}

  with tempfile.TemporaryDirectory() as directory:
    runs = {}
    for path in args.onnx:
      for variant, made in quantized(path, directory, args.tokens).items():
        try:
          session = open_session(made, args.threads)
          inputs = random_inputs(session, args.batch, args.tokens, 0)
          session.run(None, inputs)
        except Exception as error:  # whatever ONNX Runtime raises: the variant is skipped, with a message
          print(f"{path}, {variant}: does not run: {type(error).__name__}: {error}", file=sys.stderr)
          continue
        runs[path, variant] = lambda session=session, inputs=inputs: session.run(None, inputs)
    for _ in range(args.rounds):
      for (path, variant), run in runs.items():
        figures.setdefault((path, variant, "warm"), []).append(row_of(timed(run, args.seconds)))
        cold = timed(run, args.seconds, before=lambda: memory[::64].sum())
        figures.setdefault((path, variant, "cold"), []).append(row_of(cold))
      for model in models:
        for kind, row in bitgrad_rows(program, model, args).items():
          figures.setdefault((model, "bitgrad", kind), []).append(row)

  print(f"ONNX Runtime {onnxruntime.__version__}, onnx {onnx.__version__}, {common.processor()}; batch {args.batch}, "
        f"threads {args.threads}\n")
  print("| model | variant | | runs | p50 us | p90 us | p99 us |")
  print("|---|---|---|---|---|---|---|")
  for (path, variant, kind), rows in figures.items():
    count, *values = min(rows, key=lambda row: row[1])
    few = " (few)" if count < FEW_RUNS else ""
    print(f"| {os.path.basename(path)} | {variant} | {kind} | {count}{few} | " + " | ".join(f"{v:.1f}" for v in values)
          + " |")
  if args.out:
    entries = [{"model": path, "variant": variant, "kind": kind, "rows": rows}
               for (path, variant, kind), rows in figures.items()]
    with open(args.out, "w") as file:
      json.dump({"onnxruntime": onnxruntime.__version__, "processor": common.processor(), "threads": args.threads,
                 "batch": args.batch, "columns": ["runs", "p50_us", "p90_us", "p99_us"], "figures": entries}, file,
                indent=1)


if __name__ == "__main__":
  main()
