"""Times inference of a recurrent language model in PyTorch, ONNX Runtime and bitgrad, in turns, on one thread.

  taskset -c 0 python3 bench/peers/lstm_inference.py --cpu_time

The net is that of bench/packed_lstm.cc: an embedding of 10,000 tokens, one LSTM of the same width, and 10,000 logits,
for some streams side by side. A time is that of one time step of all streams.

PyTorch float        step by step, the states going from call to call; and over a sequence of 20 steps per call, where
                     the products with inputs and logits are of all steps together, as in scoring a text
ONNX Runtime float   the same two ways, with the same weights
ONNX Runtime int8    the same, weights quantized to int8, activations while it runs (quantize_dynamic)
bitgrad ...          step by step: the frozen float net, and the packed ones of 4 bits and of 1 bit

The peers and bitgrad take turns, round by round. A figure is the median over the rounds, and so is a ratio, of the
ratios within each round: other load on the machine is then in both numbers.
"""

import json
import os
import statistics
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
import torch

import common
import nets

TOKENS = 10000
SEQUENCE = 20
# The rows that ratios are of: how many times as long they take.
BASELINES = [("PyTorch float", "step by step"), ("ONNX Runtime float", "step by step"),
             ("ONNX Runtime int8", "step by step")]


class LanguageModel(torch.nn.Module):

  def __init__(self, units):
    super().__init__()
    self.embedding = torch.nn.Embedding(TOKENS, units)
    self.lstm = torch.nn.LSTM(units, units)
    self.output = torch.nn.Linear(units, TOKENS)

  def forward(self, tokens, states):
    hidden, states = self.lstm(self.embedding(tokens), states)
    return self.output(hidden), states


def to_onnx(net, units):
  """The net as an ONNX model: Gather, LSTM, MatMul and Add; tokens [steps, streams] and both states are inputs."""
  constants = []

  def constant(name, tensor):
    constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(tensor), name))
    return name

  def gates(tensor):
    """PyTorch has the gates i, f, g, o; ONNX i, o, f, g."""
    i, f, g, o = np.split(tensor.detach().numpy(), 4)
    return np.concatenate([i, o, f, g])[None]

  lstm = net.lstm
  biases = np.concatenate([gates(lstm.bias_ih_l0), gates(lstm.bias_hh_l0)], axis=1)
  node = onnx.helper.make_node
  nodes = [
      node("Gather", [constant("embedding", net.embedding.weight.detach().numpy()), "tokens"], ["embedded"]),
      node("LSTM", ["embedded", constant("w", gates(lstm.weight_ih_l0)), constant("r", gates(lstm.weight_hh_l0)),
                    constant("b", biases), "", "h", "c"], ["y", "next_h", "next_c"], hidden_size=units),
      node("Squeeze", ["y", constant("directions", np.array([1], np.int64))], ["hidden"]),
      node("MatMul", ["hidden", constant("output", net.output.weight.detach().numpy().T)], ["products"]),
      node("Add", ["products", constant("bias", net.output.bias.detach().numpy())], ["logits"]),
  ]
  info = onnx.helper.make_tensor_value_info
  number = onnx.TensorProto.FLOAT
  states = [[info(prefix + name, number, [1, "streams", units]) for name in "hc"] for prefix in ("", "next_")]
  inputs = [info("tokens", onnx.TensorProto.INT64, ["steps", "streams"])] + states[0]
  outputs = [info("logits", number, ["steps", "streams", TOKENS])] + states[1]
  graph = onnx.helper.make_graph(nodes, "lstm", inputs, outputs, constants)
  return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


class TorchRun:
  """Goes on with the text at each call, `steps` steps, and returns the logits."""

  def __init__(self, net, units, streams, steps, tokens):
    self.net, self.steps, self.tokens, self.at = net, steps, torch.from_numpy(tokens), 0
    self.states = (torch.zeros(1, streams, units),) * 2

  def __call__(self):
    self.at = (self.at + self.steps) % len(self.tokens)
    logits, self.states = self.net(self.tokens[self.at:self.at + self.steps], self.states)
    return logits.numpy()


class OnnxRun:
  """The same in ONNX Runtime."""

  def __init__(self, session, units, streams, steps, tokens):
    self.session, self.steps, self.tokens, self.at = session, steps, tokens, 0
    self.h = self.c = np.zeros((1, streams, units), np.float32)

  def __call__(self):
    self.at = (self.at + self.steps) % len(self.tokens)
    logits, self.h, self.c = self.session.run(
        None, {"tokens": self.tokens[self.at:self.at + self.steps], "h": self.h, "c": self.c})
    return logits


def session(path):
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = options.inter_op_num_threads = 1
  return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def runners(net, units, streams, sessions):
  """{(row, variant): run}. The logits have been compared with PyTorch's."""
  tokens = np.random.default_rng(1).integers(0, TOKENS, (20 * SEQUENCE, streams))
  result = {}
  for variant, steps in [("step by step", 1), (f"{SEQUENCE} steps", SEQUENCE)]:
    result["PyTorch float", variant] = TorchRun(net, units, streams, steps, tokens)
    for kind, s in sessions.items():
      result["ONNX Runtime " + kind, variant] = OnnxRun(s, units, streams, steps, tokens)
  for (row, variant), run in result.items():
    expected = TorchRun(net, units, streams, run.steps, tokens)
    for _ in range(3):
      logits = expected()
      difference = np.abs(run() - logits).max() / np.abs(logits).max()
      # int8 is an approximation; the others only round differently.
      if not difference < (0.2 if row.endswith("int8") else 1e-3):
        sys.exit(f"{row}, {variant}: logits differ by {difference} of the largest")
  return result


@torch.inference_mode()
def main():
  parser = common.parser(__doc__.splitlines()[0], "packed_lstm")
  parser.add_argument("--units", type=common.numbers, default=[300, 900])
  parser.add_argument("--streams", type=common.numbers, default=[1, 20])
  parser.set_defaults(threads=[1], rounds=5)
  args = common.start(parser)
  command = [common.program(args, "packed_lstm")]
  clock, time_name = (time.process_time, "cpu_time") if args.cpu_time else (time.perf_counter, "real_time")
  nets.use_threads(1)
  torch.manual_seed(1)
  seconds = {}  # by size, then by (row, variant): one value per round
  for units in args.units:
    net = LanguageModel(units).eval()
    with tempfile.TemporaryDirectory() as directory:
      paths = {kind: os.path.join(directory, kind + ".onnx") for kind in ("float", "int8")}
      onnx.save(to_onnx(net, units), paths["float"])
      quantize_dynamic(paths["float"], paths["int8"], weight_type=QuantType.QInt8)
      sessions = {kind: session(path) for kind, path in paths.items()}
      for streams in args.streams:
        size = f"units:{units}/tokens:{TOKENS}/streams:{streams}/threads:1"
        print(size, file=sys.stderr)
        of_size = seconds.setdefault((units, streams), {})
        runs = runners(net, units, streams, sessions)
        for _ in range(args.rounds):
          for key, run in runs.items():
            per_step = common.seconds_per_call(run, args.seconds, clock) / run.steps
            of_size.setdefault(key, []).append(per_step)
          for name, value in common.bitgrad_seconds(command, f"/{size}/", args.seconds, time_name).items():
            of_size.setdefault(("bitgrad " + name, "step by step"), []).append(value)
  print(f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, {common.processor()}, one thread, "
        f"{args.rounds} rounds, {time_name}\n")
  print("| units | streams | what | variant | us/step | " + " | ".join(f"times {row}" for row, _ in BASELINES) + " |")
  print("|---|---|---|---|---|" + "---|" * len(BASELINES))
  for (units, streams), rows in seconds.items():
    for (row, variant), values in rows.items():
      ratios = [statistics.median(b / v for b, v in zip(rows[baseline], values)) for baseline in BASELINES]
      print(f"| {units} | {streams} | {row} | {variant} | {1e6 * statistics.median(values):.0f} | " +
            " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
  if args.out:
    entries = [{"units": units, "streams": streams, "row": row, "variant": variant, "seconds": values}
               for (units, streams), rows in seconds.items() for (row, variant), values in rows.items()]
    with open(args.out, "w") as file:
      json.dump({"torch": torch.__version__, "onnxruntime": onnxruntime.__version__, "processor": common.processor(),
                 "time": time_name, "figures": entries}, file, indent=1)


if __name__ == "__main__":
  main()
