"""PyTorch on a GPU: timing with CUDA events, precisions of products, training steps as CUDA graphs."""

import contextlib
import statistics
import sys
import time

import torch

# The precisions of float products that are timed.
PRECISIONS = ["float32", "tf32", "bf16 autocast"]


def require():
  """Ends the program where PyTorch finds no GPU."""
  if not torch.cuda.is_available():
    reason = "it was built without CUDA" if torch.version.cuda is None else "there is none that its CUDA can use"
    sys.exit(f"--device=cuda: PyTorch {torch.__version__} finds no GPU: {reason}")


def use(precision):
  """Sets the precision of float32 products from now on. "float32" excludes TF32."""
  torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def autocast(precision):
  """The context in which to run a forward pass; the backward pass uses the same types."""
  return torch.autocast("cuda", dtype=torch.bfloat16) if precision == "bf16 autocast" else contextlib.nullcontext()


def seconds_per_call(call, seconds):
  """The median time of a call over batches of calls, which are repeated for about `seconds`, at least three times.

  A batch is timed between two events on the GPU and has so many calls that its beginning and end take little."""

  def batch(calls):
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(calls):
      call()
    end.record()
    end.synchronize()
    return 1e-3 * start.elapsed_time(end) / calls

  batch(3)
  calls = max(1, min(1000, int(0.02 / max(batch(3), 1e-6))))
  times = []
  end = time.perf_counter() + seconds
  while len(times) < 3 or time.perf_counter() < end:
    times.append(batch(calls))
  return statistics.median(times)


def graph_of(step):
  """A function that runs step() as a CUDA graph, with one launch, and returns what step() returned, with new values."""
  stream = torch.cuda.Stream()
  stream.wait_stream(torch.cuda.current_stream())
  with torch.cuda.stream(stream):
    for _ in range(3):
      step()
  torch.cuda.current_stream().wait_stream(stream)
  graph = torch.cuda.CUDAGraph()
  with torch.cuda.graph(graph):
    value = step()

  def replay():
    graph.replay()
    return value

  return replay
