"""Times a training step of 784-W-W-W-10 in PyTorch and in bitgrad, in turns.

  python3 bench/peers/training_step.py
  python3 bench/peers/training_step.py --device=cuda

PyTorch float      the float net, the baseline: forward, squared hinge, backward, Adam
PyTorch simulated  the usual BNN simulated in float (nets.py)
bitgrad ...        the modes of bench/training_step.cc

Variants of PyTorch: eager or torch.compile for the forward and backward passes, Adam as it comes or fused=True. On a
GPU also the whole step as a CUDA graph, and a row for each precision of float products (gpu.py); a step there includes
the upload of its batch and the download of its loss, as bitgrad's does.
"""

import copy
import sys

import torch

import common
import gpu
import nets


class Peer:
  """A net in PyTorch, and every way to run its training step."""

  def __init__(self, kind, width, batch, compiles, device="cpu"):
    self.kind = kind
    self.device = device
    self.net = nets.make(kind, width).to(device)
    # On a GPU the batch is copied from the host into memory that a CUDA graph can read.
    self.batch = [nets.random_images(batch), nets.random_targets(batch)]
    self.images, self.targets = (x.clone().to(device) for x in self.batch)
    if device == "cuda":
      self.batch = [x.pin_memory() for x in self.batch]
    self.latent = [p for p in self.net.parameters() if p.dim() == 2] if kind != "float" else []
    self.losses = {"eager": self.loss}
    if compiles:
      self.losses["compiled"] = torch.compile(self.loss, dynamic=False)

  def loss(self):
    return nets.squared_hinge(self.net(self.images), self.targets)

  def step(self, loss, optimizer, precision):
    optimizer.zero_grad()
    with gpu.autocast(precision):
      value = loss()
    value.backward()
    optimizer.step()
    with torch.no_grad():
      for weight in self.latent:
        weight.clamp_(-1, 1)
    return value

  def upload(self):
    if self.device == "cuda":
      self.images.copy_(self.batch[0], non_blocking=True)
      self.targets.copy_(self.batch[1], non_blocking=True)

  def optimizer(self, **options):
    return torch.optim.Adam(self.net.parameters(), lr=1e-3, **options)

  def ways(self, precision):
    """{name: make}, where make() returns a function step(), which runs a step and returns its loss."""

    def way(loss, in_graph=False, **options):
      def make():
        optimizer = self.optimizer(**options)
        gpu.use(precision)
        compute = lambda: self.step(loss, optimizer, precision)
        run = gpu.graph_of(compute) if in_graph else compute

        def step():
          gpu.use(precision)
          self.upload()
          return run().item()

        return step

      return make

    result = {}
    for mode, loss in self.losses.items():
      result[f"{mode}, Adam"] = way(loss)
      result[f"{mode}, fused Adam"] = way(loss, fused=True)
    if self.device == "cuda":
      for mode, loss in self.losses.items():
        result[f"{mode}, fused Adam, CUDA graph"] = way(loss, in_graph=True, fused=True, capturable=True)
    return result

  def variants(self, precision="float32"):
    """{name: step}. Variants that do not work are left out and named on stderr."""
    result = {}
    initial = copy.deepcopy(self.net.state_dict())
    for name, make in self.ways(precision).items():
      try:
        # Starts from the initial weights: after another variant has trained them, the loss has little left to fall.
        self.net.load_state_dict(initial)
        step = make()
        before = step()
        for _ in range(4):
          after = step()
      except Exception as error:  # whatever the compiler raises: the variant is skipped, with a message
        print(f"{self.kind}, {name} does not work: {type(error).__name__}: {error}", file=sys.stderr)
        continue
      if not after < before:
        sys.exit(f"{self.kind}, {name}: four steps took the loss from {before} to {after}")
      result[name] = step
    return result


def runs_on_cpu(width, args):
  return {("PyTorch " + kind, variant): step for kind in ("float", "simulated")
          for variant, step in Peer(kind, width, args.batch, args.compile).variants().items()}


def runs_on_gpu(width, args):
  """{(row, variant): step}. The row of float32 has no suffix, because it is the baseline here, too."""
  return {("PyTorch " + kind + ("" if name == "float32" else ", " + name), variant): step
          for kind in ("float", "simulated") for name in gpu.PRECISIONS
          for variant, step in Peer(kind, width, args.batch, args.compile, "cuda").variants(name).items()}


def main():
  parser = common.parser(__doc__.splitlines()[0], "training_step")
  parser.add_argument("--batch", type=int, default=100)
  parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
  args = common.start(parser)
  on_gpu = args.device == "cuda"
  if on_gpu:
    gpu.require()
    args.threads = [1]
  # With --sweep the program also has the sizes of the plots.
  command = [common.program(args, "training_step"), "--sweep", f"--device={args.device}"]
  figures = common.Figures()
  sgemm = {}
  for width in args.widths:
    for threads in args.threads:
      nets.use_threads(threads)
      size = f"width:{width}/batch:{args.batch}/threads:{threads}"
      print(size, file=sys.stderr)
      if on_gpu:
        common.take_turns(figures, size, runs_on_gpu(width, args), command, args, gpu.seconds_per_call)
      else:
        sgemm[threads] = nets.sgemm_gmacs()
        common.take_turns(figures, size, runs_on_cpu(width, args), command, args)
  if on_gpu:
    print(f"PyTorch {torch.__version__}, CUDA {torch.version.cuda}, {torch.cuda.get_device_name()}\n")
  else:
    print(f"PyTorch {torch.__version__}, {common.processor()}; float product of 1024^3 in PyTorch, GMAC/s by threads: "
          f"{', '.join(f'{threads}: {rate:.0f}' for threads, rate in sgemm.items())}\n")
  figures.print_table("PyTorch float", "ms/step", lambda seconds: f"{1e3 * seconds:.2f}")
  if args.out:
    about = {"gpu": torch.cuda.get_device_name()} if on_gpu else {"torch_sgemm_gmacs": sgemm}
    figures.write(args.out, dict(about, torch=torch.__version__))


if __name__ == "__main__":
  main()
