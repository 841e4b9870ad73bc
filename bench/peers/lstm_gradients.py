"""Compares float LSTM, GRU and RNN nets with PyTorch's, values and gradients of the whole unrolled net.

  python3 bench/peers/lstm_gradients.py

bench/recurrent_gradients.cc prints the parameters, the texts and what bitgrad makes of them: two layers over an
embedding, two pieces of a text with the states carried over and no gradient from one to the other. PyTorch computes the
same in float64. Logits and losses have to agree to 1e-5, and gradients to 1e-4 of the largest one of each parameter.
"""

import argparse
import json
import subprocess
import sys

import torch

import common

VALUE_BOUND = 1e-5
GRADIENT_BOUND = 1e-4


def peer(cell, sizes):
  """PyTorch's layers of this kind, one module each."""
  kind = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}.get(cell, torch.nn.RNN)
  options = {"nonlinearity": cell.removeprefix("rnn_")} if cell.startswith("rnn_") else {}
  return [kind(n, m, dtype=torch.float64, **options) for n, m in zip(sizes, sizes[1:])]


class Net:
  """The net of an entry of the JSON, and which of PyTorch's parameters has the gradient of which of bitgrad's."""

  def __init__(self, entry):
    self.values = {name: torch.tensor(p["value"], dtype=torch.float64).reshape(p["shape"])
                   for name, p in entry["parameters"].items()}
    prefix = entry["cell"].split("_")[0]
    count = sum(name.endswith("/hidden_weight") for name in self.values)
    table = self.values["embedding/table"]
    self.embedding = torch.nn.Embedding(*table.shape, dtype=torch.float64)
    widths = [self.values[f"{prefix}{i}/hidden_weight"].shape[1] for i in range(1, count + 1)]
    self.layers = peer(entry["cell"], [table.shape[1]] + widths)
    self.output = torch.nn.Linear(widths[-1], table.shape[0], dtype=torch.float64)
    self.parameters = {"embedding/table": self.embedding.weight, "output/weight": self.output.weight,
                       "output/bias": self.output.bias}
    for i, layer in enumerate(self.layers, 1):
      path = f"{prefix}{i}/"
      self.parameters[path + "input_weight"] = layer.weight_ih_l0
      self.parameters[path + "hidden_weight"] = layer.weight_hh_l0
      if path + "bias" in self.values:  # one bias, where PyTorch has the sum of two
        self.parameters[path + "bias"] = layer.bias_ih_l0
        torch.nn.init.zeros_(layer.bias_hh_l0)
      else:
        self.parameters[path + "input_bias"] = layer.bias_ih_l0
        self.parameters[path + "hidden_bias"] = layer.bias_hh_l0
    assert self.parameters.keys() == self.values.keys(), self.parameters.keys() ^ self.values.keys()
    with torch.no_grad():
      for name, parameter in self.parameters.items():
        parameter.copy_(self.values[name])

  def piece(self, tokens, states):
    """Logits [steps * streams, vocabulary], and the states after the last step."""
    x, left = self.embedding(tokens), []
    for layer, state in zip(self.layers, states):
      x, state = layer(x, state)
      left.append(tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach())
    return self.output(x.flatten(0, 1)), left


def largest(tensor):
  return tensor.abs().max().item()


def compare(entry):
  """The worst differences of values (absolute) and of gradients (by the largest one of their parameter)."""
  net = Net(entry)
  states, value, gradient = [None] * len(net.layers), 0.0, 0.0
  for tokens, targets, logits, loss in zip(entry["tokens"], entry["targets"], entry["logits"], entry["losses"]):
    y, states = net.piece(torch.tensor(tokens).reshape(-1, entry["streams"]), states)
    expected = torch.nn.functional.cross_entropy(y, torch.tensor(targets))
    expected.backward()
    value = max(value, largest(y - torch.tensor(logits, dtype=torch.float64).reshape(y.shape)),
                abs(expected.item() - loss))
  for name, parameter in net.parameters.items():
    theirs = parameter.grad
    ours = torch.tensor(entry["parameters"][name]["gradient"], dtype=torch.float64).reshape(theirs.shape)
    gradient = max(gradient, largest(ours - theirs) / largest(theirs))
  return value, gradient


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--bitgrad", metavar="PATH", help="the program bench/recurrent_gradients; built unless given")
  args = parser.parse_args()
  printed = subprocess.run([common.program(args, "recurrent_gradients")], check=True, text=True, capture_output=True)
  print("| cells | values differ by | gradients differ by |")
  print("|---|---|---|")
  failed = False
  for entry in json.loads(printed.stdout)["cells"]:
    value, gradient = compare(entry)
    print(f"| {entry['cell']} | {value:.1e} | {gradient:.1e} |")
    failed |= not (value <= VALUE_BOUND and gradient <= GRADIENT_BOUND)
  if failed:
    sys.exit(f"bounds: {VALUE_BOUND:.0e} for values, {GRADIENT_BOUND:.0e} for gradients")


if __name__ == "__main__":
  main()
