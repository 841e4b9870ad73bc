"""Trains the nets of cifar10_bnn_vgg_tiny and cifar10_float_vgg_tiny in PyTorch.

Data, split, loss, optimizer and schedule are the same as in bitgrad.

  python3 bench/peers/cifar10.py --data_dir=DIR             # both nets, 10 epochs
  python3 bench/peers/cifar10.py --data_dir=DIR --steps=50  # only the time of a step

DIR holds data_batch_1.bin .. data_batch_5.bin and test_batch.bin. Prints one line per epoch, and the test error of the
epoch with the best validation error. --metrics=PREFIX also writes the epochs to PREFIX_binary.jsonl and
PREFIX_float.jsonl, with the field names that //models:train --metrics uses. The binary net is simulated as usual: signs
in float, straight-through estimators, clipped latent weights, Glorot's learning-rate scale as in BinaryConnect's code.
"""

import argparse
import json
import math
import os
import time

import numpy
import torch
from torch import nn
from torch.nn import functional


class Sign(torch.autograd.Function):
  """+-1 (0 gives +1); the gradient passes where |x| <= 1, or everywhere for a weight."""

  @staticmethod
  def forward(context, x, passes):
    context.save_for_backward(x if not passes else None)
    return torch.where(x >= 0, 1.0, -1.0)

  @staticmethod
  def backward(context, gradient):
    (x,) = context.saved_tensors
    return (gradient if x is None else gradient * (x.abs() <= 1)), None


class Product(nn.Module):
  """A convolution, or a dense layer where `kernel` is 0."""

  def __init__(self, inputs, outputs, kernel, binary, first):
    super().__init__()
    shape = (outputs, inputs, kernel, kernel) if kernel else (outputs, inputs)
    taps = kernel * kernel if kernel else 1
    self.fans = taps * inputs + taps * outputs
    bound = 1.0 if binary else math.sqrt(6 / self.fans)
    self.weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
    self.kernel, self.binary, self.first = kernel, binary, first

  def forward(self, x):
    weight = self.weight
    if self.binary:
      weight = Sign.apply(weight, True)
      if not self.first:
        x = Sign.apply(x, False)
    if self.kernel:
      return functional.conv2d(x, weight, padding=self.kernel // 2)
    return functional.linear(x, weight)


class Net(nn.Module):

  def __init__(self, binary, filters, hidden):
    super().__init__()
    self.binary = binary
    layers = []
    channels, size = 3, 32
    for i, width in enumerate(filters):
      layers.append(Product(channels, width, 3, binary, i == 0))
      if i % 2 == 1:
        layers.append(nn.MaxPool2d(2))
        size //= 2
      layers.append(nn.BatchNorm2d(width, eps=1e-4, momentum=0.1))
      if not binary:
        layers.append(nn.ReLU())
      channels = width
    layers.append(nn.Flatten())
    features = channels * size * size
    for i, width in enumerate(hidden + [10]):
      layers.append(Product(features, width, 0, binary, False))
      layers.append(nn.BatchNorm1d(width, eps=1e-4, momentum=0.1))
      if not binary and i < len(hidden):
        layers.append(nn.ReLU())
      features = width
    self.layers = nn.Sequential(*layers)

  def forward(self, x):
    return self.layers(x)

  def optimizer(self, rate):
    """Adam; a binary layer's rate is scaled by sqrt((fan_in + fan_out) / 1.5)."""
    groups, rest = [], []
    for module in self.modules():
      if isinstance(module, Product):
        scale = math.sqrt(module.fans / 1.5) if self.binary else 1.0
        groups.append({"params": [module.weight], "scale": scale, "lr": rate * scale})
      elif isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
        rest += list(module.parameters())
    groups.append({"params": rest, "scale": 1.0, "lr": rate})
    return torch.optim.Adam(groups, lr=rate, fused=True)

  def clip(self):
    with torch.no_grad():
      for module in self.modules():
        if isinstance(module, Product) and self.binary:
          module.weight.clamp_(-1, 1)


def squared_hinge(logits, labels):
  targets = 2 * functional.one_hot(labels, logits.shape[1]).float() - 1
  return functional.relu(1 - targets * logits).square().mean()


def load(path, names):
  records = numpy.concatenate(
      [numpy.fromfile(os.path.join(path, name), numpy.uint8).reshape(-1, 3073) for name in names])
  images = torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).astype(numpy.float32) * 2 / 255 - 1)
  return images, torch.from_numpy(records[:, 0].astype(numpy.int64))


def error(net, images, labels):
  net.eval()
  wrong = 0
  with torch.no_grad():
    for i in range(0, len(images), 500):
      wrong += (net(images[i:i + 500]).argmax(1) != labels[i:i + 500]).sum().item()
  net.train()
  return 100 * wrong / len(images)


def train(name, args, train_set, valid_set, test_set):
  torch.manual_seed(args.seed)
  binary = name == "binary"
  rate = 3e-3 if binary else 1e-3
  net = Net(binary, args.filters, args.hidden)
  net = net.to(memory_format=torch.channels_last)
  optimizer = net.optimizer(rate)
  images, labels = train_set
  best = (100.0, 100.0, 0)
  metrics = open(f"{args.metrics}_{name}.jsonl", "w") if args.metrics else None
  for epoch in range(args.epochs):
    now = rate * (3e-5 / rate) ** (epoch / args.epochs)
    for group in optimizer.param_groups:
      group["lr"] = now * group["scale"]
    order = torch.randperm(len(images))
    start = time.perf_counter()
    times = []
    for step in range(len(images) // args.batch):
      begin = time.perf_counter()
      rows = order[step * args.batch:(step + 1) * args.batch]
      x = images[rows].contiguous(memory_format=torch.channels_last)
      optimizer.zero_grad()
      loss = squared_hinge(net(x), labels[rows])
      loss.backward()
      optimizer.step()
      net.clip()
      times.append(time.perf_counter() - begin)
      if args.steps and step + 1 == args.steps:
        print(f"{name}: {1e3 * sorted(times)[len(times) // 2]:.2f} ms/step, median of {args.steps}", flush=True)
        return
    seconds = time.perf_counter() - start
    valid, test = error(net, *valid_set), error(net, *test_set)
    if valid <= best[0]:
      best = (valid, test, epoch + 1)
    print(f"{name} epoch {epoch + 1}: {seconds:.1f} s, {1e3 * sorted(times)[len(times) // 2]:.2f} ms/step, "
          f"valid {valid:.2f} %, test {test:.2f} %", flush=True)
    if metrics:
      line = {"epoch": epoch + 1, "valid_error": valid / 100, "test_error": test / 100, "seconds": seconds}
      print(json.dumps(line), file=metrics, flush=True)
  print(f"{name}: test error {best[1]:.2f} % at epoch {best[2]}, the best on validation ({best[0]:.2f} %)", flush=True)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--data_dir", required=True)
  parser.add_argument("--epochs", type=int, default=10)
  parser.add_argument("--batch", type=int, default=50)
  parser.add_argument("--threads", type=int, default=2)
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--steps", type=int, default=0, help="only time so many steps")
  parser.add_argument("--metrics", metavar="PREFIX", help="files for the epochs' metrics, JSON lines")
  parser.add_argument("--nets", nargs="+", default=["binary", "float"], choices=["binary", "float"])
  parser.add_argument("--filters", type=int, nargs="+", default=[32, 32, 64, 64, 128, 128])
  parser.add_argument("--hidden", type=int, nargs="*", default=[256])
  args = parser.parse_args()
  torch.set_num_threads(args.threads)
  images, labels = load(args.data_dir, [f"data_batch_{i}.bin" for i in range(1, 6)])
  test_set = load(args.data_dir, ["test_batch.bin"])
  train_set, valid_set = (images[:-5000], labels[:-5000]), (images[-5000:], labels[-5000:])
  for name in args.nets:
    train(name, args, train_set, valid_set, test_set)


if __name__ == "__main__":
  main()
