"""PyTorch on a GPU: timing by CUDA events, precisions, steps as CUDA graphs."""

import contextlib
import statistics
import sys
import time

import torch

# How float products are made.
PRECISIONS = ["float32", "tf32", "bf16 autocast"]


def require():
  """Ends the program where PyTorch finds no GPU."""
  if not torch.cuda.is_available():
    reason = "it was built without CUDA" if torch.version.cuda is None else "there is none that its CUDA can use"
    sys.exit(f"--device=cuda: PyTorch {torch.__version__} finds no GPU: {reason}")


def use(precision):
  """From now on for float32 products. float32 means float32: no TF32."""
  torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")


def autocast(precision):
  """What a forward pass runs in; the backward pass follows its types."""
  return torch.autocast("cuda", dtype=torch.bfloat16) if precision == "bf16 autocast" else contextlib.nullcontext()


def seconds_per_call(call, seconds):
  """Median over batches of calls for about `seconds`, at least three: between two events on the GPU, of so many calls
  that starting and ending is little."""

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
  """A call that does what step() does, all kernels launched at once; returns what step() returned, anew each time."""
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
