"""Exported models in ONNX Runtime, and a few images in ONNX's own reference evaluator, against the interpreter.

    onnx_runtime.py --bin=DIR [--mnist=DIR] [--cifar10=DIR] [--images=N] [MODEL ...]

DIR has the programs onnx, predict, inspect and write_onnx_samples. The models of tests and of the zoo are always
checked; MODEL is a packed model, or a checkpoint beside its packed model ("run/best.bgc=packed"), whose data set's
folder has been given. Answers that are integer sums have to be equal to the last bit; where an operand is floats, the
argmax has to be the same.
"""

import argparse
import pathlib
import tempfile
import zlib

import numpy as np
import onnx
import onnx.reference
import onnxruntime

import models

# Of the samples that tests write: their sums have an order, because an operand is floats or sums may exceed 2^24 (of
# logarithmic codes 2^63), or their sigmoids are ONNX Runtime's.
FLOAT_SAMPLES = ("images", "k_bit_8__x_log7_1100_4", "k_bit_8__x_symmetric8_300_4", "lstm", "taps", "identity_x_float",
                 "sign_x_float", "identity_x_binary", "identity_x_log", "log_quant_7__x", "every_instruction",
                 "coded_conv", *models.FLOAT_ZOO)
REFERENCE_IMAGES = 20


def session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def sample_feeds(model, path):
    """The inputs of a sample: its examples or, of a model of tokens, its tokens and states of zeros."""
    feeds = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.name != "input":
            feeds[value.name] = np.zeros([3] + shape[1:], np.float32)
        elif value.type.tensor_type.elem_type == onnx.TensorProto.INT64:
            feeds["input"] = np.fromfile(path, np.int32).reshape(4, 3).astype(np.int64)
        else:
            feeds["input"] = np.fromfile(path, np.float32).reshape([3] + shape[1:])
    return feeds


def checksum(data):
    return "%08x" % zlib.crc32(data)


def check_samples(checks, programs, record):
    """With `record`, a line for each graph: its checksum and, where sums are exact, that of the answers."""
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        models.run(programs / "write_onnx_samples", folder)
        for path in sorted(pathlib.Path(folder).glob("*.onnx")):
            name, dialect, _ = path.name.rsplit(".", 2)
            model = onnx.load(path)
            expected = np.fromfile(pathlib.Path(folder) / (name + ".output"), np.float32)
            graph = checksum(model.graph.SerializeToString(deterministic=True))
            if dialect == "qonnx":
                lines.append("%s %s %s -" % (name, dialect, graph))
                continue
            onnx.checker.check_model(model, full_check=True)
            feeds = sample_feeds(model, pathlib.Path(folder) / (name + ".input"))
            recorded = "-" if name.startswith(FLOAT_SAMPLES) else checksum(expected.tobytes())
            engines = {"onnxruntime": session(model)}
            # The reference evaluator has no QuantizeLinear of opset 13.
            if dialect == "plain":
                engines["onnx.reference"] = onnx.reference.ReferenceEvaluator(model)
            for engine, evaluator in engines.items():
                answers = evaluator.run(["logits"], feeds)[0].reshape(-1)
                same = models.same_bits(answers, expected)
                if name.startswith(FLOAT_SAMPLES) and not same:
                    # A rounding of the largest answer, and some for what comes between.
                    close = np.abs(answers - expected).max() <= 1e-5 * np.abs(expected).max()
                    checks.check("%s %s %s" % (engine, dialect, name), close, models.difference(answers, expected))
                else:
                    checks.check("%s %s %s" % (engine, dialect, name), same)
            lines.append("%s %s %s %s" % (name, dialect, graph, recorded))
    if record:
        pathlib.Path(record).write_text("\n".join(lines) + "\n")


def check_model(checks, programs, spec, folders, limit):
    source, _, packed = spec.partition("=")
    packed = packed or source
    flag = "--checkpoint" if packed != source else "--model"
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for dialect in ("plain", "qcdq"):
            name = "%s %s" % (dialect, source)
            try:
                models.run(programs / "onnx", flag + "=" + source, "--dialect=" + dialect,
                           "--out=%s" % (folder / "model.onnx"))
            except RuntimeError as error:
                checks.check(name, dialect != "plain" and "cannot say" in str(error), str(error))
                continue
            model = onnx.load(folder / "model.onnx")
            onnx.checker.check_model(model, full_check=True)
            properties = models.metadata(model)
            data = folders.get(properties["data_set"])
            if data is None:
                print("skip  %s: no folder of '%s' given" % (name, properties["data_set"]))
                return
            if not (folder / "logits").exists():
                models.run(programs / "predict", "--model=" + packed, "--data_dir=" + data,
                           "--logits=%s" % (folder / "logits"))
            pixels = models.test_pixels(properties["data_set"], data)[:limit]
            x = models.floats_of(pixels, properties)
            expected = np.fromfile(folder / "logits", np.float32).reshape(-1)
            runner = session(model)
            batches = [x[i:i + 100] for i in range(0, len(x), 100)]
            answers = np.concatenate([runner.run(["logits"], {"input": batch})[0] for batch in batches])
            expected = expected[:answers.size].reshape(answers.shape)
            exact = models.sums_are_integers(programs, packed, model.graph)
            models.check_answers(checks, "onnxruntime " + name, answers, expected, exact)
            if dialect != "plain":
                continue
            few = onnx.reference.ReferenceEvaluator(model).run(["logits"], {"input": x[:REFERENCE_IMAGES]})[0]
            models.check_answers(checks, "onnx.reference " + name, few, expected[:REFERENCE_IMAGES], exact)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    parser.add_argument("--mnist")
    parser.add_argument("--cifar10")
    parser.add_argument("--images", type=int, default=10000)
    parser.add_argument("--record", help="write what ONNX Runtime has answered: tests/export/onnx_answers.txt")
    parser.add_argument("models", nargs="*")
    flags = parser.parse_args()
    onnxruntime.set_default_logger_severity(3)
    checks = models.Checks()
    check_samples(checks, flags.bin, flags.record)
    for spec in flags.models:
        check_model(checks, flags.bin, spec, {"mnist": flags.mnist, "cifar10": flags.cifar10}, flags.images)
    checks.finish()


if __name__ == "__main__":
    main()
