"""What the comparisons with other frameworks share: timing, running bitgrad's benchmarks, printing tables.

The other frameworks (the peers) and bitgrad take turns, round by round, so that other load on the machine affects both.
A figure is the median over the rounds. If a peer has several variants (eager or compiled, one optimizer or another),
the best one counts.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time

PRELOADED = "libbitgrad_bench_mkl_as_on_intel.so"
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def parser(description, suite):
  p = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
  p.add_argument("--bitgrad", metavar="PATH", help=f"the program bench/{suite}; built with ./bazelw unless given")
  p.add_argument("--widths", type=numbers, default=[1024, 4096], help="widths of the hidden layers")
  p.add_argument("--threads", type=numbers, default=[1, 2])
  p.add_argument("--rounds", type=int, default=3)
  p.add_argument("--seconds", type=float, default=1.0, help="how long a variant runs in a round")
  p.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True, help="try torch.compile, too")
  p.add_argument("--mkl_as_on_intel", action="store_true",
                 help="lets MKL, PyTorch's matrix products, use AVX-512 on other makers' processors, too")
  p.add_argument("--cpu_time", action="store_true", help="CPU time, for one thread on a machine with other work")
  p.add_argument("--out", metavar="FILE", help="also writes all figures as JSON")
  return p


def start(parser_):
  """The arguments. With --mkl_as_on_intel the program is started again, so that MKL finds the library below first.

  On a processor that is not Intel's, MKL uses only AVX2, which halves PyTorch's rate where the processor has AVX-512.
  People who know that replace MKL's test of the vendor, so comparisons should also be made that way.
  """
  args = parser_.parse_args()
  if args.mkl_as_on_intel and PRELOADED not in os.environ.get("LD_PRELOAD", ""):
    library = os.path.join(tempfile.mkdtemp(), PRELOADED)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, "-x", "c", "-"], check=True, text=True,
                   input="int mkl_serv_intel_cpu_true(void) { return 1; }")
    os.execve(sys.executable, [sys.executable] + sys.argv, dict(os.environ, LD_PRELOAD=library))
  return args


def numbers(text):
  return [int(n) for n in text.split(",")]


def program(args, suite):
  """The path of the suite's program. It is built if --bitgrad does not give it."""
  if args.bitgrad:
    return args.bitgrad
  subprocess.run([os.path.join(ROOT, "bazelw"), "build", "//bench:" + suite], check=True, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL)
  return os.path.join(ROOT, "bazel-bin", "bench", suite)


def seconds_per_call(call, seconds, clock=time.perf_counter):
  """The median time of calls, which are repeated for about `seconds`, at least three times."""
  for _ in range(2):
    call()
  times = []
  end = time.perf_counter() + seconds
  while len(times) < 3 or time.perf_counter() < end:
    start = clock()
    call()
    times.append(clock() - start)
  return statistics.median(times)


def bitgrad_seconds(command, pattern, seconds, time_name="real_time"):
  """Runs the benchmarks of `command` (program and flags) whose names NET/... match; {net: seconds per iteration}."""
  with tempfile.TemporaryDirectory() as directory:
    out = os.path.join(directory, "out.json")
    result = subprocess.run(command + [f"--benchmark_filter={pattern}", f"--benchmark_min_time={seconds}",
                                       f"--benchmark_out={out}"], text=True, capture_output=True)
    if result.returncode != 0:
      sys.exit(f"{' '.join(result.args)} failed:\n{result.stdout}{result.stderr}")
    with open(out) as file:
      runs = json.load(file)["benchmarks"]
  scale = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
  return {run["name"].split("/")[0]: run[time_name] * scale[run["time_unit"]] for run in runs}


def take_turns(figures, size, runs, command, args, timer=seconds_per_call, pattern=None):
  """Times runs, {(row, variant): call}, and bitgrad's benchmarks of `size`, for args.rounds rounds.

  These are the ones named NET/`size`, or those that match `pattern`. A variant that is far slower than the best one of
  its row is not run again, to save time."""
  for _ in range(args.rounds):
    for (row, variant), run in runs.items():
      seconds = timer(run, args.seconds, time.process_time) if args.cpu_time else timer(run, args.seconds)
      figures.add(size, row, variant, seconds)
    time_name = "cpu_time" if args.cpu_time else "real_time"
    for net, seconds in bitgrad_seconds(command, pattern or f"/{size}/", args.seconds, time_name).items():
      figures.add(size, "bitgrad " + net, "", seconds)
    runs = {(row, variant): run for (row, variant), run in runs.items()
            if figures.median(size, row, variant) < 1.5 * figures.best(size, row)[0]}


class Figures:
  """Seconds by (size, row, variant), one value per round. For a row, tables show the best of its variants."""

  def __init__(self):
    self._seconds = {}

  def add(self, size, row, variant, seconds):
    self._seconds.setdefault((size, row), {}).setdefault(variant, []).append(seconds)

  def median(self, size, row, variant):
    return statistics.median(self._seconds[size, row][variant])

  def best(self, size, row):
    """The best variant of the row: (seconds, variant)."""
    return min((self.median(size, row, variant), variant) for variant in self._seconds[size, row])

  def rows(self, size):
    return [row for s, row in self._seconds if s == size]

  def sizes(self):
    return list(dict.fromkeys(size for size, _ in self._seconds))

  def print_table(self, baseline, unit_name, unit):
    """Prints a Markdown table. A ratio is the baseline's time divided by the row's: above 1 is faster."""
    print(f"| size | what | variant | {unit_name} | times {baseline} |")
    print("|---|---|---|---|---|")
    for size in self.sizes():
      for row in self.rows(size):
        seconds, variant = self.best(size, row)
        ratio = self.best(size, baseline)[0] / seconds
        print(f"| {size} | {row} | {variant} | {unit(seconds)} | {ratio:.2f} |")

  def write(self, path, about):
    entries = [{"size": size, "row": row, "variant": variant, "seconds": values}
               for (size, row), variants in self._seconds.items() for variant, values in variants.items()]
    with open(path, "w") as file:
      json.dump(dict(about, processor=processor(), figures=entries), file, indent=1)


def processor():
  try:
    with open("/proc/cpuinfo") as file:
      return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
  except (OSError, StopIteration):
    return platform.processor()
