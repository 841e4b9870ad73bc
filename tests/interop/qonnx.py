"""Exported models in the dialect qonnx, run by the qonnx package, against the interpreter.

    qonnx.py --bin=DIR [--mnist=DIR] [--cifar10=DIR] [--images=N] [MODEL ...]

as onnx_runtime.py. qonnx runs node by node and is slow, so that few images are taken: 100 by default.
"""

import argparse
import os
import pathlib
import sys
import tempfile

# This script has the package's name, and its folder must not be searched for it.
FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path = [path for path in sys.path if os.path.abspath(path or ".") != FOLDER]

import numpy as np
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

sys.path.append(FOLDER)
import models

FLOAT_SAMPLES = ("images", "k_bit_8__x_symmetric8_300_4", "lstm", "taps", "identity_x_float", "sign_x_float",
                 "identity_x_binary", "log_quant_7__x", "every_instruction", "coded_conv", *models.FLOAT_ZOO)


def with_batch(path, batch):
    """The model with a batch of a fixed size, as the executor wants it."""
    wrapper = ModelWrapper(str(path))
    for value in list(wrapper.graph.input) + list(wrapper.graph.output):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_value = batch
    return wrapper.transform(InferShapes())


def run_sample(path, inputs):
    wrapper = with_batch(path, 3)
    shapes = {value.name: wrapper.get_tensor_shape(value.name) for value in wrapper.graph.input}
    states = {name: np.zeros(shape, np.float32) for name, shape in shapes.items() if name != "input"}
    if not states and len(shapes["input"]) > 1:
        return execute_onnx(wrapper, {"input": np.fromfile(inputs, np.float32).reshape(shapes["input"])})["logits"]
    answers = []
    for tokens in np.fromfile(inputs, np.int32).reshape(4, 3).astype(np.int64):
        results = execute_onnx(wrapper, {"input": tokens, **states})
        answers.append(results["logits"])
        states = {name: results["next_" + name] for name in states}
    return np.stack(answers)


def check_samples(checks, programs):
    with tempfile.TemporaryDirectory() as folder:
        models.run(programs / "write_onnx_samples", folder)
        for path in sorted(pathlib.Path(folder).glob("*.qonnx.onnx")):
            name = path.name[:-len(".qonnx.onnx")]
            answers = run_sample(path, pathlib.Path(folder) / (name + ".input")).reshape(-1)
            expected = np.fromfile(pathlib.Path(folder) / (name + ".output"), np.float32)
            same = models.same_bits(answers, expected)
            if name.startswith(FLOAT_SAMPLES) and not same:
                close = np.abs(answers - expected).max() <= 1e-5 * np.abs(expected).max()
                checks.check("qonnx " + name, close, models.difference(answers, expected))
            else:
                checks.check("qonnx " + name, same)


def check_model(checks, programs, spec, folders, limit):
    source, _, packed = spec.partition("=")
    packed = packed or source
    flag = "--checkpoint" if packed != source else "--model"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        try:
            models.run(programs / "onnx", flag + "=" + source, "--dialect=qonnx", "--out=%s" % (folder / "model.onnx"))
        except RuntimeError as error:
            checks.check("qonnx " + source, "cannot say" in str(error), str(error))
            return
        wrapper = with_batch(folder / "model.onnx", limit)
        properties = models.metadata(wrapper.model)
        data = folders.get(properties["data_set"])
        if data is None:
            print("skip  qonnx %s: no folder of '%s' given" % (source, properties["data_set"]))
            return
        models.run(programs / "predict", "--model=" + packed, "--data_dir=" + data, "--logits=%s" % (folder / "logits"))
        x = models.floats_of(models.test_pixels(properties["data_set"], data)[:limit], properties)
        answers = execute_onnx(wrapper, {"input": x})["logits"]
        expected = np.fromfile(folder / "logits", np.float32)[:answers.size].reshape(answers.shape)
        models.check_answers(checks, "qonnx " + source, answers, expected,
                             models.sums_are_integers(programs, packed, wrapper.graph))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--mnist")
    parser.add_argument("--cifar10")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("models", nargs="*")
    flags = parser.parse_args()
    checks = models.Checks()
    check_samples(checks, flags.bin)
    for spec in flags.models:
        check_model(checks, flags.bin, spec, {"mnist": flags.mnist, "cifar10": flags.cifar10}, flags.images)
    checks.finish()


if __name__ == "__main__":
    main()
