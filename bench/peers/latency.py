"""Latency of ONNX models in ONNX Runtime, float and int8, and of packed models in bitgrad, in turns.

  python3 bench/peers/latency.py net.onnx [more.onnx] [--model=net.bgm,...] [--fold_norms]

float          the model as it is
int8 dynamic   weights in int8, activations quantized while it runs (quantize_dynamic)
int8 static    both in int8, with ranges found on random inputs (quantize_static, QDQ): good for times, not for answers
bitgrad        //runtime:latency on the packed models

Percentiles are those of runtime/latency.h: nearest rank, of all runs behind the warm-up. Cold runs come behind a walk
over more memory than the last cache holds. A variant that ONNX Runtime cannot make or run is skipped with a message.
With several rounds all take turns, and the round with the least p50 is shown; the least and the largest p50 as well.

Batch norms are four nodes in what //export:onnx writes, which ONNX Runtime does not fold into products as it does with
BatchNormalization. --fold_norms does so beforehand, for float and int8 alike, as who deploys a net would.
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


def fold_norms(path, out):
  """Writes the model with each Sub, Mul, Mul, Add of constants behind a product, or behind the max pooling of one, as
  the product's weights and bias. Behind pooling this takes positive factors; others are left as they are."""
  model = onnx.load(path)
  graph = model.graph
  constants = {c.name: onnx.numpy_helper.to_array(c) for c in graph.initializer}
  makers = {name: node for node in graph.node for name in node.output}
  readers = {}
  for node in graph.node:
    for name in node.input:
      readers.setdefault(name, []).append(node)

  def affine(name):
    """(factor, offset, last node) of the four nodes that read the value, or None."""
    factor, offset, node = 1.0, 0.0, None
    for op in ("Sub", "Mul", "Mul", "Add"):
      if len(readers.get(name, [])) != 1 or readers[name][0].op_type != op:
        return None
      node = readers[name][0]
      if node.input[0] != name or node.input[1] not in constants:
        return None
      value = constants[node.input[1]].astype(np.float64).reshape(-1)
      if op == "Mul":
        factor, offset = factor * value, offset * value
      else:
        offset = offset + (value if op == "Add" else -value)
      name = node.output[0]
    return factor, offset, node

  removed = []
  for product in [node for node in graph.node if node.op_type in ("Conv", "MatMul")]:
    if product.input[1] not in constants or len(product.input) > 2:
      continue
    last = product
    reader = readers.get(product.output[0], [])
    if len(reader) == 1 and reader[0].op_type == "MaxPool":
      last = reader[0]
    found = affine(last.output[0])
    if found is None or (last is not product and not np.all(found[0] > 0)):
      continue
    factor, offset, end = found
    weight = constants[product.input[1]]
    outputs = weight.shape[0 if product.op_type == "Conv" else 1]
    factor, offset = np.broadcast_to(factor, outputs), np.broadcast_to(offset, outputs)
    weight = weight * (factor.reshape((-1,) + (1,) * (weight.ndim - 1)) if product.op_type == "Conv" else factor)
    names = [product.output[0] + "/folded_weight", product.output[0] + "/folded_bias"]
    graph.initializer.extend([onnx.numpy_helper.from_array(weight.astype(np.float32), names[0]),
                              onnx.numpy_helper.from_array(offset.astype(np.float32), names[1])])
    product.input[:] = [product.input[0]] + names
    if product.op_type == "MatMul":
      product.op_type = "Gemm"
    node = end
    while node is not last:
      removed.append(node)
      node = makers[node.input[0]]
    last.output[0] = end.output[0]
  for node in removed:
    graph.node.remove(node)
  used = {name for node in graph.node for name in node.input}
  unused = [c for c in graph.initializer if c.name not in used]
  for constant in unused:
    graph.initializer.remove(constant)
  onnx.checker.check_model(model)
  onnx.save(model, out)


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
  parser.add_argument("--fold_norms", action="store_true", help="batch norms become part of the products before them")
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
      source = path
      if args.fold_norms:
        source = os.path.join(directory, "folded_" + os.path.basename(path))
        fold_norms(path, source)
      for variant, made in quantized(source, directory, args.tokens).items():
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
  print("| model | variant | | runs | p50 us | p90 us | p99 us | p50 of the rounds |")
  print("|---|---|---|---|---|---|---|---|")
  for (path, variant, kind), rows in figures.items():
    count, *values = min(rows, key=lambda row: row[1])
    few = " (few)" if count < FEW_RUNS else ""
    print(f"| {os.path.basename(path)} | {variant} | {kind} | {count}{few} | " + " | ".join(f"{v:.1f}" for v in values)
          + f" | {min(row[1] for row in rows):.1f} to {max(row[1] for row in rows):.1f} |")
  if args.out:
    entries = [{"model": path, "variant": variant, "kind": kind, "rows": rows}
               for (path, variant, kind), rows in figures.items()]
    with open(args.out, "w") as file:
      json.dump({"onnxruntime": onnxruntime.__version__, "processor": common.processor(), "threads": args.threads,
                 "batch": args.batch, "columns": ["runs", "p50_us", "p90_us", "p99_us"], "figures": entries}, file,
                indent=1)


if __name__ == "__main__":
  main()
