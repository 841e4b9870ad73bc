"""What the scripts of this folder share: exporting with bitgrad's programs, its answers, and data in their files."""

import gzip
import pathlib
import subprocess
import sys

import numpy as np


# Models of the zoo with products of floats, or with sigmoids and tanhs between them.
FLOAT_ZOO = ("cifar10_bnn_vgg_tiny", "mnist_binaryconnect_mlp", "shakespeare_char_lstm")


class Checks:
    """Prints a line for each check and remembers whether one failed."""

    def __init__(self):
        self.failed = 0

    def check(self, name, passed, detail=""):
        print(("ok    " if passed else "FAIL  ") + name + (": " + detail if detail else ""), flush=True)
        self.failed += not passed

    def finish(self):
        sys.exit(1 if self.failed else 0)


def same_bits(a, b):
    """Equal to the last bit, but for the sign of zeros, which is none of the answer."""
    return a.shape == b.shape and np.array_equal(a, b)


def difference(a, b):
    """The largest difference, beside the largest answer."""
    return "max difference %.3g of answers up to %.3g" % (np.abs(a - b).max(), np.abs(b).max())


def run(*command):
    """Runs a program; returns what it printed, or raises with what it said on stderr."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("%s: %s" % (pathlib.Path(command[0]).name, done.stderr.strip()))
    return done.stdout


def sums_are_integers(programs, packed, graph):
    """Whether a packed model's answers do not depend on the order of float sums or on a library's functions: none of
    its products is of floats, and its graph has no sigmoid, tanh or average of floats."""
    last = run(programs / "inspect", "--model=" + packed).splitlines()[-1]
    return "float_layers=0" in last.split() and not any(
        node.op_type in ("Sigmoid", "Tanh", "AveragePool") for node in graph.node)


def check_answers(checks, name, answers, expected, exact):
    """Of images: the classes have to be the same and, where `exact`, all bits of the answers."""
    same_class, same = int((answers.argmax(1) == expected.argmax(1)).sum()), same_bits(answers, expected)
    checks.check(name, same_class == len(expected) and (same or not exact),
                 "%d of %d images have the same class; %s" %
                 (same_class, len(expected), "equal to the last bit" if same else difference(answers, expected)))


def metadata(model):
    return {entry.key[len("bitgrad."):]: entry.value for entry in model.metadata_props}


def open_maybe_gz(path):
    for candidate in (path, pathlib.Path(str(path) + ".gz")):
        if candidate.exists():
            return (gzip.open if candidate.suffix == ".gz" else open)(candidate, "rb").read()
    raise FileNotFoundError("%s is missing, plain or gzipped" % path)


def test_pixels(data_set, folder):
    """The pixels of the test images, uint8 [n, features], as bitgrad reads them: row by row, channels last."""
    folder = pathlib.Path(folder)
    if data_set == "mnist":
        raw = open_maybe_gz(folder / "t10k-images-idx3-ubyte")
        return np.frombuffer(raw, np.uint8, offset=16).reshape(-1, 784)
    if data_set == "cifar10":
        raw = (folder / "test_batch.bin").read_bytes()
        records = np.frombuffer(raw, np.uint8).reshape(-1, 3073)
        return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).reshape(-1, 3072)
    raise ValueError("no reader for the data set '%s'" % data_set)


def floats_of(pixels, properties):
    """What the model takes: (multiplier * p + offset) / divisor in float32, in the model's shape."""
    multiplier, offset, divisor = (np.float32(properties["pixel_" + k]) for k in ("multiplier", "offset", "divisor"))
    x = (multiplier * pixels.astype(np.float32) + offset) / divisor
    return x.reshape([-1] + [int(extent) for extent in properties["input_shape"].split("x")])
