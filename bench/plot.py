"""Plots for docs/images/ from the JSON files of the suites, and from the metrics of trainings.

  bazel-bin/bench/packed_gemm --benchmark_filter=square --benchmark_repetitions=5 --benchmark_out=gemm.json
  bazel-bin/bench/training_step --sweep --benchmark_repetitions=5 --benchmark_out=steps.json
  python3 bench/plot.py --packed_gemm=gemm.json --training_step=steps.json

  for net in bnn float; do
    bazel-bin/models/train --recipe=cifar10_${net}_vgg_tiny --data_dir=DIR --metrics=curves/bitgrad_$net.jsonl
  done
  python3 bench/peers/cifar10.py --data_dir=DIR --metrics=curves/pytorch
  python3 bench/plot.py --curves=curves

  for bits in 6 8 10 12 14 20; do
    bazel-bin/models/train --recipe=mnist_maxout_fixed_mlp --data_dir=DIR --epochs=5 \
      --metrics=widths/fixed_$bits.jsonl \
      --set="model.mlp.precision.computation=fixed($bits, 5)" --set="model.mlp.precision.update=fixed(31, 5)"
    bazel-bin/models/train --recipe=mnist_maxout_dynamic_fixed_mlp --data_dir=DIR --epochs=7 \
      --metrics=widths/dynamic_fixed_$bits.jsonl \
      --set="phase[0].set[0]=model.mlp.precision.computation=dynamic_fixed($bits)" \
      --set="phase[0].set[1]=model.mlp.precision.update=dynamic_fixed(31)"
  done
  python3 bench/plot.py --bit_widths=widths

  bazel-bin/models/train --recipe=mnist_maxout_float_mlp --data_dir=DIR --epochs=5 --out=run
  bazel-bin/bench/magnitudes --checkpoint=run --data_dir=DIR > magnitudes.json
  python3 bench/plot.py --magnitudes=magnitudes.json

  for bits in 2 3 4 5 6; do
    quantizer="log_quant($bits)"
    bazel-bin/models/train --recipe=mnist_bnn_mlp_small --data_dir=DIR --epochs=5 \
      --metrics=windows/weights_$bits.jsonl --set="model.mlp.weight_quantizer=$quantizer"
    bazel-bin/models/train --recipe=mnist_bnn_mlp_small --data_dir=DIR --epochs=5 \
      --metrics=windows/activations_$bits.jsonl --set="model.mlp.activation_quantizer=$quantizer"
    bazel-bin/models/train --recipe=mnist_bnn_mlp_small --data_dir=DIR --epochs=5 --metrics=windows/both_$bits.jsonl \
      --set="model.mlp.weight_quantizer=$quantizer" --set="model.mlp.activation_quantizer=$quantizer"
  done
  python3 bench/plot.py --log_windows=windows

  bazel-bin/models/train --recipe=circle_spline_mlp --out=run
  bazel-bin/export/freeze --checkpoint=run --out=circle.bgm
  bazel-bin/runtime/inspect --model=circle.bgm --splines > splines.txt
  python3 bench/plot.py --splines=splines.txt

packed_gemm.png     rate of square products against their size, with what limits it
training_step.png   time of a step against width and batch size
training_memory.png bytes kept for the backward pass against width and batch size
cifar10_curves.png  test error by epoch, of each metrics file in the directory
bit_widths.png      test error after the last epoch against the bits of computation, of all metrics files FORMAT_BITS
magnitudes.png      histograms of log2 |x| by layer: weights, values and gradients in the middle of training
splines.png         learned activation functions, a panel for each layer, a line for each channel
log_windows.png     test error after the last epoch against the window of log_quant, of all metrics files OPERANDS_BITS

A point is the median of the repetitions; of a curve it is one run's.
"""

import argparse
import json
import os
import statistics

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib import ticker

IMAGES = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "docs", "images")

# A series has the same color in every figure.
GEMM_SERIES = {"PackedToBits": ("packed, into bits", "#08519c"),
               "Packed": ("packed, into int32", "#4292c6"),
               "PackAndMultiply": ("packed, with packing of floats", "#9ecae1"),
               "Int8": ("oneDNN s8s8s32", "#d95f0e"),
               "Sgemm": ("oneDNN sgemm", "#636363")}
MODE_SERIES = {"Float": ("float", "#636363"), "Binary": ("binary, exact gradients", "#2171b5"),
               "Binary8": ("binary, 8-bit gradients", "#d95f0e")}
# The curves, by the name of the metrics file without .jsonl.
CURVES = {"pytorch_binary": ("PyTorch, binary (simulated)", "#2171b5", "--"),
          "bitgrad_bnn": ("bitgrad, binary", "#2171b5", "-"),
          "pytorch_float": ("PyTorch, float", "#636363", "--"),
          "bitgrad_float": ("bitgrad, float", "#636363", "-")}

# The number formats, by the beginning of the metrics file's name.
FORMAT_SERIES = {"fixed": ("fixed point", "#636363"), "dynamic_fixed": ("dynamic fixed point", "#2171b5")}
# What log_quant quantizes, in the same place; the others are signs.
LOG_SERIES = {"weights": ("weights", "#2171b5"), "activations": ("activations", "#d95f0e"), "both": ("both", "#636363")}


def read(path):
  """(context, {name: run}), where a run has the medians of a benchmark's time and counters over its repetitions."""
  with open(path) as file:
    data = json.load(file)
  repetitions = {}
  for run in data["benchmarks"]:
    if run.get("error_occurred"):
      raise SystemExit(f"{path}: {run['name']}: {run['error_message']}")
    if run.get("run_type") == "aggregate":
      if run["aggregate_name"] == "median":
        repetitions[run["run_name"]] = [run]
    else:
      repetitions.setdefault(run["run_name"], []).append(run)
  median = lambda runs: {key: statistics.median(r[key] for r in runs) for key, value in runs[0].items()
                         if isinstance(value, (int, float))}
  return data["context"], {name.removesuffix("/real_time"): median(runs) for name, runs in repetitions.items()}


def number(text):
  """The number at the beginning of an entry of the context ("1380 per core (...)"), or None."""
  try:
    return float(text.split()[0])
  except ValueError:
    return None


def logarithmic(axes, ticks):
  """Makes both axes logarithmic, with plain numbers: `ticks` on x; 1, 2, 5, 10, ... on y."""
  axes.set_xscale("log")
  axes.set_yscale("log")
  axes.xaxis.set_major_locator(ticker.FixedLocator(ticks))
  axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
  for axis in (axes.xaxis, axes.yaxis):
    axis.set_minor_locator(ticker.NullLocator())
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))


def finish(axes):
  axes.grid(True, which="major", color="#e5e5e5", linewidth=0.8)
  axes.set_axisbelow(True)
  axes.spines[["top", "right"]].set_visible(False)


def save(figure, directory, name):
  os.makedirs(directory, exist_ok=True)
  path = os.path.join(directory, name)
  figure.savefig(path, dpi=130, bbox_inches="tight")
  plt.close(figure)
  print(path)


def plot_packed_gemm(path, directory):
  context, runs = read(path)
  points = {}  # (workload, threads): [(n, GMAC/s)]
  for name, run in runs.items():
    workload, family, _, extents, threads = name.split("/")
    if family == "square":
      points.setdefault((workload, int(threads.removeprefix("threads:"))), []).append(
          (int(extents.split("x")[0]), run["GMAC/s"]))
  all_threads = sorted({threads for _, threads in points})
  figure, panels = plt.subplots(1, len(all_threads), figsize=(6.4 * len(all_threads), 4.6), sharey=True, squeeze=False)
  for axes, threads in zip(panels[0], all_threads):
    limits = [("xor, popcnt, add in registers, measured", number(context["loop_limit_gmacs"]), "-"),
              ("the same on two ports, from the clock", number(context["two_port_limit_gmacs"]), ":")]
    for label, limit, style in limits:
      if limit is not None:
        axes.axhline(limit * threads, color="black", linewidth=1.2, linestyle=style, label="limit: " + label)
    for workload, (label, color) in GEMM_SERIES.items():
      if (workload, threads) in points:
        sizes, rates = zip(*sorted(points[workload, threads]))
        axes.plot(sizes, rates, marker="o", markersize=4, color=color, label=label)
    logarithmic(axes, sorted({n for series in points.values() for n, _ in series}))
    axes.set_xlabel("n, of an n x n x n product")
    axes.set_title("1 thread" if threads == 1 else f"{threads} threads")
    finish(axes)
  panels[0][0].set_ylabel("GMAC/s")
  panels[0][-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
  figure.suptitle(f"Matrix products, {context['processor']}")
  save(figure, directory, "packed_gemm.png")


def plot_training_step(path, directory, counter, scale, label, file_name, title):
  context, runs = read(path)
  values = {}  # (mode, width, batch, threads): value
  for name, run in runs.items():
    mode, *arguments = name.split("/")
    width, batch, threads = (int(argument.split(":")[1]) for argument in arguments)
    values[mode, width, batch, threads] = run[counter] * scale
  modes = [mode for mode in MODE_SERIES if any(key[0] == mode for key in values)]
  all_threads = sorted({key[3] for key in values})
  figure, panels = plt.subplots(1, 2, figsize=(12, 4.6))
  # Two panels: batch sizes at one width, and widths at one batch size; those with the most points.
  most = lambda index: max({key[index] for key in values}, key=lambda v: sum(key[index] == v for key in values))
  for axes, x, fixed, names in ((panels[0], 1, 2, ("width", "batch")), (panels[1], 2, 1, ("batch size", "width"))):
    ticks = set()
    for i, mode in enumerate(modes):
      for threads in all_threads:
        points = sorted((key[x], value) for key, value in values.items()
                        if key[0] == mode and key[3] == threads and key[fixed] == most(fixed))
        memory = counter == "held_bytes"
        if not points or (memory and threads != all_threads[0]):  # memory does not depend on threads
          continue
        series, color = MODE_SERIES[mode]
        sizes, heights = zip(*points)
        ticks.update(sizes)
        # Dashes stand for more threads. For memory, where two modes may coincide, every mode after the second has them.
        dashed = i > 1 if memory else threads != all_threads[0]
        axes.plot(sizes, heights, marker="o", markersize=4, color=color, linestyle="--" if dashed else "-",
                  label=series if memory else f"{series}, {threads} thread{'s' if threads > 1 else ''}")
    logarithmic(axes, sorted(ticks))
    axes.set_xlabel(f"{names[0]}, at {names[1]} {most(fixed)}")
    finish(axes)
  panels[0].set_ylabel(label)
  panels[1].legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
  figure.suptitle(f"{title}, 784-W-W-W-10, {context['processor']}")
  save(figure, directory, file_name)


def plot_curves(metrics, directory):
  """`metrics` is a directory with a file of JSON lines, one per epoch, for each of CURVES."""
  figure, axes = plt.subplots(figsize=(6.4, 4.6))
  for name, (label, color, style) in CURVES.items():
    with open(os.path.join(metrics, name + ".jsonl")) as file:
      epochs = [json.loads(line) for line in file]
    errors = [100 * e["test_error"] for e in epochs]
    axes.plot([e["epoch"] for e in epochs], errors, marker="o", markersize=4, color=color, linestyle=style,
              label=f"{label}: {errors[-1]:.1f} %")
  axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
  axes.set_xlabel("epoch")
  axes.set_ylabel("test error, %")
  finish(axes)
  axes.legend(frameon=False)
  figure.suptitle("CIFAR-10 (JPEG), (2x32C3)-MP2-(2x64C3)-MP2-(2x128C3)-MP2-256FC-10")
  save(figure, directory, "cifar10_curves.png")


def last_test_errors(metrics, name):
  """The numbers of the files `name`_NUMBER.jsonl in the directory, ascending, and their errors in percent."""
  points = []
  for file_name in os.listdir(metrics):
    stem, _, number_of_file = file_name.removesuffix(".jsonl").rpartition("_")
    if stem != name:
      continue
    with open(os.path.join(metrics, file_name)) as file:
      points.append((int(number_of_file), 100 * json.loads(file.readlines()[-1])["test_error"]))
  return sorted(points)


def show_test_errors(axes):
  axes.set_yscale("log")
  axes.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
  axes.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
  axes.yaxis.set_minor_locator(ticker.NullLocator())
  axes.set_ylabel("test error, %")
  finish(axes)
  axes.legend(frameon=False)


def plot_bit_widths(metrics, directory):
  """`metrics` is a directory with a file FORMAT_BITS.jsonl for each training."""
  figure, axes = plt.subplots(figsize=(6.4, 4.6))
  for name, (label, color) in FORMAT_SERIES.items():
    bits, errors = zip(*last_test_errors(metrics, name))
    axes.plot(bits, errors, marker="o", markersize=4, color=color, label=label)
  axes.xaxis.set_major_locator(ticker.MultipleLocator(2))
  axes.set_xlabel("bits of computation, with the sign (updates: 31 bits)")
  show_test_errors(axes)
  figure.suptitle("MNIST, maxout 784-240-240-10, 5 epochs")
  save(figure, directory, "bit_widths.png")


def plot_log_windows(metrics, directory):
  """`metrics` is a directory with a file OPERANDS_BITS.jsonl for each training."""
  figure, axes = plt.subplots(figsize=(6.4, 4.6))
  for name, (label, color) in LOG_SERIES.items():
    bits, errors = zip(*last_test_errors(metrics, name))
    axes.plot(bits, errors, marker="o", markersize=4, color=color, label=label)
  axes.xaxis.set_major_locator(ticker.MultipleLocator(1))
  # Of k bits the least size is 2^(2 - 2^(k-1)); the largest is 1.
  axes.xaxis.set_major_formatter(ticker.FuncFormatter(lambda k, _: f"{k:g} bits\n$2^{{{2 - 2 ** (k - 1):g}}}$ .. 1"))
  axes.set_xlabel("window: the sizes beside 0")
  show_test_errors(axes)
  figure.suptitle("log_quant(k) in mnist_bnn_mlp_small, 5 epochs")
  save(figure, directory, "log_windows.png")


def plot_magnitudes(path, directory):
  """`path` is what bench/magnitudes prints."""
  with open(path) as file:
    layers = {layer: parts for layer, parts in json.load(file).items() if "weights" in parts and "values" in parts}
  kinds = ("weights", "values", "gradients")
  figure, grid = plt.subplots(len(layers), len(kinds), figsize=(9.6, 2.2 * len(layers)), squeeze=False, sharex="col")
  for row, (layer, parts) in zip(grid, layers.items()):
    for axes, kind in zip(row, kinds):
      histogram = parts[kind]
      counts, zeros = histogram["counts"], histogram["zeros"]
      total = sum(counts) + zeros
      exponents = [histogram["least"] + i for i in range(len(counts))]
      axes.bar(exponents, [count / total for count in counts], width=0.9, color="#2171b5")
      axes.set_title(f"{layer}, {kind}" + (f" ({100 * zeros / total:.0f} % zeros)" if zeros else ""), fontsize=9)
      finish(axes)
  for axes in grid[-1]:
    axes.set_xlabel("floor(log2 |x|)")
  figure.tight_layout()
  save(figure, directory, "magnitudes.png")


def plot_splines(path, directory):
  layers = {}
  with open(path) as lines:
    for line in lines:
      if not line.startswith("spline: "):
        continue
      fields = dict(field.split("=", 1) for field in line.split()[1:])
      values = [float(value) for value in fields["values"].split(",")]
      layers.setdefault(fields["layer"], []).append((float(fields["range"]), values))
  if not layers:
    raise SystemExit(f"{path}: no line of splines; write it with inspect --splines")
  figure, panels = plt.subplots(1, len(layers), figsize=(4 * len(layers), 3.5), squeeze=False)
  for axes, (layer, splines) in zip(panels[0], layers.items()):
    for reach, values in splines:
      # A step more on each side, where the first and the last line go on.
      step = 2 * reach / (len(values) - 1)
      x = [-reach + k * step for k in range(-1, len(values) + 1)]
      y = [2 * values[0] - values[1]] + values + [2 * values[-1] - values[-2]]
      axes.plot(x, y, linewidth=1, marker="." if len(splines) <= 4 else None, markersize=3)
    axes.set_title(layer)
    finish(axes)
  save(figure, directory, "splines.png")


def main():
  parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
  parser.add_argument("--packed_gemm", metavar="JSON")
  parser.add_argument("--training_step", metavar="JSON")
  parser.add_argument("--curves", metavar="DIRECTORY")
  parser.add_argument("--bit_widths", metavar="DIRECTORY")
  parser.add_argument("--magnitudes", metavar="JSON")
  parser.add_argument("--log_windows", metavar="DIRECTORY")
  parser.add_argument("--splines", metavar="TEXT")
  parser.add_argument("--images", metavar="DIRECTORY", default=IMAGES)
  args = parser.parse_args()
  if args.packed_gemm:
    plot_packed_gemm(args.packed_gemm, args.images)
  if args.training_step:
    plot_training_step(args.training_step, args.images, "real_time", 1.0, "ms per step", "training_step.png",
                       "A training step")
    plot_training_step(args.training_step, args.images, "held_bytes", 1e-6, "MB", "training_memory.png",
                       "Kept for the backward pass")
  if args.curves:
    plot_curves(args.curves, args.images)
  if args.bit_widths:
    plot_bit_widths(args.bit_widths, args.images)
  if args.magnitudes:
    plot_magnitudes(args.magnitudes, args.images)
  if args.splines:
    plot_splines(args.splines, args.images)
  if args.log_windows:
    plot_log_windows(args.log_windows, args.images)


if __name__ == "__main__":
  main()
