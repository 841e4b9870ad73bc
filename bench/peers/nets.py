"""784-W-W-W-10 with batch norm in PyTorch: the nets of bench/mlp_nets.h.

float      ReLU between the layers.
simulated  the usual BNN on top of a float framework: sign of activations and weights in float, straight-through
           estimators, latent weights clipped after each step. The first layer takes its input as it is.
"""

import torch
from torch import nn

import common

FEATURES, CLASSES = 784, 10


class SignActivation(torch.autograd.Function):
  """sign(x); the gradient passes where |x| <= 1."""

  @staticmethod
  def forward(ctx, x):
    ctx.save_for_backward(x)
    return x.sign()

  @staticmethod
  def backward(ctx, dy):
    (x,) = ctx.saved_tensors
    return dy * (x.abs() <= 1)


class SignWeight(torch.autograd.Function):
  """sign(w); the gradient passes to the latent weight."""

  @staticmethod
  def forward(ctx, w):
    return w.sign()

  @staticmethod
  def backward(ctx, dw):
    return dw


class BinaryLinear(nn.Module):

  def __init__(self, inputs, outputs, binary_input):
    super().__init__()
    self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-1, 1))
    self.binary_input = binary_input

  def forward(self, x):
    if self.binary_input:
      x = SignActivation.apply(x)
    return nn.functional.linear(x, SignWeight.apply(self.weight))


def make(kind, width):
  layers = []
  inputs = FEATURES
  for i in range(4):
    last = i == 3
    outputs = CLASSES if last else width
    layers.append(nn.Linear(inputs, outputs, bias=False) if kind == "float" else BinaryLinear(inputs, outputs, i > 0))
    layers.append(nn.BatchNorm1d(outputs, eps=1e-4))
    if kind == "float" and not last:
      layers.append(nn.ReLU())
    inputs = outputs
  return nn.Sequential(*layers)


def random_images(batch):
  """Pixels in [-1, 1]."""
  return (2 * torch.randint(0, 256, (batch, FEATURES)) - 255) / 255.0


def random_targets(batch):
  """+1 for the label's class, -1 for the others."""
  return 2.0 * nn.functional.one_hot(torch.randint(0, CLASSES, (batch,)), CLASSES) - 1


def squared_hinge(logits, targets):
  return torch.clamp(1 - logits * targets, min=0).square().mean()


def use_threads(threads):
  torch.set_num_threads(threads)
  torch._dynamo.reset()  # compiled code has the number of threads built in
  torch._inductor.config.cpp.threads = threads


def sgemm_gmacs():
  """The rate of a float product of 1024^3 in billions of MACs per second, which determines PyTorch's times."""
  a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
  return 1.024**3 / common.seconds_per_call(lambda: a @ b, 0.5)
