"""Times a training step of 784-W-W-W-10 in PyTorch and in bitgrad, in turns.

  python3 bench/peers/training_step.py

PyTorch float      the float net, the baseline: forward, squared hinge, backward, Adam
PyTorch simulated  the usual BNN simulated in float (nets.py)
bitgrad ...        the modes of bench/training_step.cc

Variants of PyTorch: eager or torch.compile for the forward and backward passes, Adam as it comes or fused=True.
"""

import copy
import sys

import torch

import common
import nets


class Peer:
  """A net of PyTorch and every way to run its step."""

  def __init__(self, kind, width, batch, compiles):
    self.kind = kind
    self.net = nets.make(kind, width)
    self.images, self.targets = nets.random_images(batch), nets.random_targets(batch)
    self.latent = [p for p in self.net.parameters() if p.dim() == 2] if kind != "float" else []
    self.losses = {"eager": self.loss}
    if compiles:
      self.losses["compiled"] = torch.compile(self.loss, dynamic=False)
    learning_rate = 1e-3
    self.optimizers = {"Adam": torch.optim.Adam(self.net.parameters(), lr=learning_rate),
                       "fused Adam": torch.optim.Adam(self.net.parameters(), lr=learning_rate, fused=True)}

  def loss(self):
    return nets.squared_hinge(self.net(self.images), self.targets)

  def step(self, loss, optimizer):
    optimizer.zero_grad()
    value = loss()
    value.backward()
    optimizer.step()
    with torch.no_grad():
      for weight in self.latent:
        weight.clamp_(-1, 1)
    return value

  def variants(self):
    """{name: step()}, without those that do not work, which are named on stderr."""
    result = {}
    initial = copy.deepcopy(self.net.state_dict())
    for mode, loss in self.losses.items():
      for name, optimizer in self.optimizers.items():
        step = lambda loss=loss, optimizer=optimizer: self.step(loss, optimizer)
        try:
          # From the initial weights: those that another variant has trained leave little to lower.
          self.net.load_state_dict(initial)
          before = step().item()
          for _ in range(4):
            after = step().item()
        except Exception as error:  # Whatever the compiler raises: the variant is left out, and said so.
          print(f"{self.kind}, {mode}, {name} does not work: {type(error).__name__}: {error}", file=sys.stderr)
          continue
        if not after < before:
          sys.exit(f"{self.kind}, {mode}, {name}: four steps took the loss from {before} to {after}")
        result[f"{mode}, {name}"] = step
    return result


def main():
  parser = common.parser(__doc__.splitlines()[0], "training_step")
  parser.add_argument("--batch", type=int, default=100)
  args = common.start(parser)
  # With --sweep it has the sizes of the plots, too.
  command = [common.program(args, "training_step"), "--sweep"]
  figures = common.Figures()
  sgemm = {}
  for width in args.widths:
    for threads in args.threads:
      nets.use_threads(threads)
      size = f"width:{width}/batch:{args.batch}/threads:{threads}"
      print(size, file=sys.stderr)
      sgemm[threads] = nets.sgemm_gmacs()
      runs = {("PyTorch " + kind, variant): step for kind in ("float", "simulated")
              for variant, step in Peer(kind, width, args.batch, args.compile).variants().items()}
      common.take_turns(figures, size, runs, command, args)
  print(f"PyTorch {torch.__version__}, {common.processor()}; float product of 1024^3 in PyTorch, GMAC/s by threads: "
        f"{', '.join(f'{threads}: {rate:.0f}' for threads, rate in sgemm.items())}\n")
  figures.print_table("PyTorch float", "ms/step", lambda seconds: f"{1e3 * seconds:.2f}")
  if args.out:
    figures.write(args.out, {"torch": torch.__version__, "torch_sgemm_gmacs": sgemm})


if __name__ == "__main__":
  main()
