"""Times inference of the VGG nets of CIFAR-10 in PyTorch, ONNX Runtime and bitgrad, in turns.

  python3 bench/peers/conv_inference.py

PyTorch float        channels last, eager and compiled (with weights frozen into the program)
ONNX Runtime float   the same weights
ONNX Runtime int8    the same, quantized statically: 8-bit weights per filter and 8-bit activations, in each form that
                     ONNX has (QDQ, QOperator) and with activations of either sign; the fastest counts
bitgrad ...          the nets of bench/packed_conv_net.cc

The peers' nets are the most favourable ones of that shape: batch norms are folded into the products, and ReLU directly
follows them. Their inputs are float images; bitgrad's are pixels. The last table gives bitgrad's nets against its own
float net and against ONNX Runtime's int8 net.
"""

import logging
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
import torch
from torch import nn

import common
import nets

SIZE, CHANNELS, CLASSES = 32, 3, 10
# Filters of the convolutions, of which each second one is pooled, and widths of the hidden dense layers.
NETS = {"vgg": ([128, 128, 256, 256, 512, 512], [1024, 1024]), "vgg_tiny": ([32, 32, 64, 64, 128, 128], [256])}


def make(filters, hidden):
  layers, channels, size = [], CHANNELS, SIZE
  for i, width in enumerate(filters):
    layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
    if i % 2 == 1:
      layers.append(nn.MaxPool2d(2))
      size //= 2
    channels = width
  layers.append(nn.Flatten())
  features = channels * size * size
  for width in hidden:
    layers += [nn.Linear(features, width), nn.ReLU()]
    features = width
  layers.append(nn.Linear(features, CLASSES))
  net = nn.Sequential(*layers)
  for layer in net:
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
      nn.init.kaiming_normal_(layer.weight)  # so that activations keep their size
  return net.eval()


def to_onnx(net):
  """The net as an ONNX model: Conv, Relu, MaxPool, Flatten and Gemm nodes, for any batch size."""
  nodes, constants = [], []

  def constant(name, tensor):
    constants.append(onnx.numpy_helper.from_array(np.ascontiguousarray(tensor.detach().numpy()), name))
    return name

  value = "images"
  for i, layer in enumerate(net):
    output = f"value{i}" if i + 1 < len(net) else "logits"
    name, operands, attributes = f"node{i}", [value], {}
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
      operands += [constant(f"weight{i}", layer.weight), constant(f"bias{i}", layer.bias)]
    if isinstance(layer, nn.Conv2d):
      kind, attributes = "Conv", {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    elif isinstance(layer, nn.Linear):
      kind, attributes = "Gemm", {"transB": 1}
    elif isinstance(layer, nn.MaxPool2d):
      kind, attributes = "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}
    else:
      kind = {nn.ReLU: "Relu", nn.Flatten: "Flatten"}[type(layer)]
    nodes.append(onnx.helper.make_node(kind, operands, [output], name=name, **attributes))
    value = output
  info = lambda name, *shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", *shape])
  graph = onnx.helper.make_graph(nodes, "vgg", [info("images", CHANNELS, SIZE, SIZE)], [info("logits", CLASSES)],
                                 constants)
  return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)


class Calibration(CalibrationDataReader):

  def __init__(self, images):
    self.batches = iter([{"images": image[None]} for image in images])

  def get_next(self):
    return next(self.batches, None)


def session(path, threads):
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = threads
  options.inter_op_num_threads = 1
  return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def export(net, directory):
  """Writes the models of ONNX Runtime; {(row, variant): path}."""
  path = os.path.join(directory, "float.onnx")
  onnx.save(to_onnx(net), path)
  paths = {("ONNX Runtime float", ""): path}
  images = random_images(16).numpy()
  for form in (QuantFormat.QDQ, QuantFormat.QOperator):
    for activation in (QuantType.QUInt8, QuantType.QInt8):
      variant = f"{form.name}, {activation.name[1:].lower()} activations"
      quantized = os.path.join(directory, variant.replace(", ", "_").replace(" ", "_") + ".onnx")
      quantize_static(path, quantized, Calibration(images), quant_format=form, activation_type=activation,
                      weight_type=QuantType.QInt8, per_channel=True)
      paths["ONNX Runtime int8", variant] = quantized
  return paths


def random_images(batch):
  return (2 * torch.randint(0, 256, (batch, CHANNELS, SIZE, SIZE)) - 255) / 255.0


def runners(net, paths, threads, images, compiles):
  """{(row, variant): run() -> logits}. The logits have been compared with those of eager PyTorch."""
  array = images.numpy()
  last = images.contiguous(memory_format=torch.channels_last)
  result = {("PyTorch float", "eager"): lambda: net(last).numpy()}
  if compiles:
    compiled = torch.compile(net, dynamic=False)
    try:
      compiled(last)
      result["PyTorch float", "compiled"] = lambda: compiled(last).numpy()
    except Exception as error:  # whatever the compiler raises: the variant is skipped, with a message
      print(f"torch.compile does not work: {type(error).__name__}: {error}", file=sys.stderr)
  for key, path in paths.items():
    s = session(path, threads)
    result[key] = lambda s=s: s.run(None, {"images": array})[0]

  expected = net(images).numpy()
  for (row, variant), run in result.items():
    # int8 is an approximation; the others only round differently.
    difference = np.abs(run() - expected).max() / np.abs(expected).max()
    if not difference < (0.3 if row.endswith("int8") else 1e-3):
      sys.exit(f"{row} {variant}: logits differ by {difference} of the largest")
  return result


@torch.inference_mode()
def main():
  parser = common.parser(__doc__.splitlines()[0], "packed_conv_net")
  parser.set_defaults(threads=[1])
  parser.add_argument("--batches", type=common.numbers, default=[1, 10])
  parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
  args = common.start(parser)
  command = [common.program(args, "packed_conv_net")]
  torch._inductor.config.freezing = True
  logging.disable(logging.WARNING)  # hides ONNX Runtime's advice to preprocess the model
  figures = common.Figures()
  for name in args.nets:
    torch.manual_seed(1)
    net = make(*NETS[name]).to(memory_format=torch.channels_last)
    with tempfile.TemporaryDirectory() as directory:
      paths = export(net, directory)
      for threads in args.threads:
        nets.use_threads(threads)
        for batch in args.batches:
          size = f"{name}/batch:{batch}/threads:{threads}"
          print(size, file=sys.stderr)
          runs = runners(net, paths, threads, random_images(batch), args.compile)
          common.take_turns(figures, size, runs, command, args, pattern=f"_{size}/")
  print(f"PyTorch {torch.__version__}, ONNX Runtime {onnxruntime.__version__}, {common.processor()}\n")
  figures.print_table("ONNX Runtime int8", "us/batch", lambda seconds: f"{1e6 * seconds:.0f}")
  print("\n| size | net | times bitgrad's float | times ONNX Runtime's int8 |\n|---|---|---|---|")
  for size in figures.sizes():
    prefix = "bitgrad cifar10_"
    floats = figures.best(size, prefix + "float_" + size.split("/")[0])[0]
    int8 = figures.best(size, "ONNX Runtime int8")[0]
    for row in figures.rows(size):
      if row.startswith(prefix):
        seconds = figures.best(size, row)[0]
        print(f"| {size} | {row[len(prefix):]} | {floats / seconds:.2f} | {int8 / seconds:.2f} |")
  if args.out:
    figures.write(args.out, {"torch": torch.__version__, "onnxruntime": onnxruntime.__version__})


if __name__ == "__main__":
  main()
