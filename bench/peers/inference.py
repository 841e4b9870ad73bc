"""Times inference of 784-W-W-W-10 in PyTorch, ONNX Runtime and bitgrad, in turns.

  python3 bench/peers/inference.py

PyTorch float        eager and compiled (with weights frozen into the program)
ONNX Runtime float   the same weights; the baseline
ONNX Runtime int8    the same, weights and activations quantized to int8 while it runs (quantize_dynamic)
bitgrad ...          the nets of bench/packed_mlp.cc: frozen float net, packed BNN
"""

import logging
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
import torch

import common
import nets


def to_onnx(net):
  """The float net as an ONNX model: MatMul, BatchNormalization and Relu nodes, for any batch size."""
  nodes, constants = [], []

  def constant(name, tensor):
    constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(tensor.detach().numpy()), name))
    return name

  value = "images"
  for i, layer in enumerate(net):
    output = f"value{i}" if i + 1 < len(net) else "logits"
    if isinstance(layer, torch.nn.Linear):
      nodes.append(onnx.helper.make_node("MatMul", [value, constant(f"weight{i}", layer.weight.T)], [output]))
    elif isinstance(layer, torch.nn.BatchNorm1d):
      operands = [constant(f"{name}{i}", getattr(layer, name)) for name in
                  ("weight", "bias", "running_mean", "running_var")]
      nodes.append(onnx.helper.make_node("BatchNormalization", [value] + operands, [output], epsilon=layer.eps))
    else:
      nodes.append(onnx.helper.make_node("Relu", [value], [output]))
    value = output
  info = lambda name, cols: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", cols])
  graph = onnx.helper.make_graph(nodes, "mlp", [info("images", nets.FEATURES)], [info("logits", nets.CLASSES)],
                                 constants)
  return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


def session(model_path, threads):
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = threads
  options.inter_op_num_threads = 1
  return onnxruntime.InferenceSession(model_path, options, providers=["CPUExecutionProvider"])


def runners(net, directory, threads, images, compiles):
  """{(row, variant): run() -> logits}. The logits have been compared with those of eager PyTorch."""
  array = images.numpy()
  paths = {kind: os.path.join(directory, kind + ".onnx") for kind in ("float", "int8")}
  if not os.path.exists(paths["float"]):
    onnx.save(to_onnx(net), paths["float"])
    quantize_dynamic(paths["float"], paths["int8"], weight_type=QuantType.QInt8)
  result = {("PyTorch float", "eager"): lambda: net(images).numpy()}
  if compiles:
    compiled = torch.compile(net, dynamic=False)
    try:
      compiled(images)
      result["PyTorch float", "compiled"] = lambda: compiled(images).numpy()
    except Exception as error:  # whatever the compiler raises: the variant is skipped, with a message
      print(f"torch.compile does not work: {type(error).__name__}: {error}", file=sys.stderr)
  for kind, path in paths.items():
    s = session(path, threads)
    result["ONNX Runtime " + kind, ""] = lambda s=s: s.run(None, {"images": array})[0]

  expected = net(images).numpy()
  for (row, variant), run in result.items():
    # int8 is an approximation; the others only round differently.
    difference = np.abs(run() - expected).max() / np.abs(expected).max()
    if not difference < (0.2 if row.endswith("int8") else 1e-3):
      sys.exit(f"{row} {variant}: logits differ by {difference} of the largest")
  return result


@torch.inference_mode()
def main():
  parser = common.parser(__doc__.splitlines()[0], "packed_mlp")
  parser.add_argument("--batches", type=common.numbers, default=[1, 10, 100, 1000])
  args = common.start(parser)
  command = [common.program(args, "packed_mlp")]
  torch._inductor.config.freezing = True
  logging.disable(logging.WARNING)  # hides ONNX Runtime's advice on quantization, which does not apply to this net
  figures = common.Figures()
  for width in args.widths:
    net = nets.make("float", width).eval()
    with tempfile.TemporaryDirectory() as directory:
      for threads in args.threads:
        nets.use_threads(threads)
        for batch in args.batches:
          size = f"width:{width}/batch:{batch}/threads:{threads}"
          print(size, file=sys.stderr)
          runs = runners(net, directory, threads, nets.random_images(batch), args.compile)
          common.take_turns(figures, size, runs, command, args)
  versions = {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
  print(f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, {common.processor()}\n")
  figures.print_table("ONNX Runtime float", "us/batch", lambda seconds: f"{1e6 * seconds:.1f}")
  if args.out:
    figures.write(args.out, versions)


if __name__ == "__main__":
  main()
