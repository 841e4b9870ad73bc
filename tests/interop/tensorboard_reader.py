#!/usr/bin/env python3
"""TensorBoard's own readers give back every scalar, histogram, picture, text and hyperparameter of bitgrad's runs.

    tensorboard_reader.py --bin=FOLDER

--bin has the program train. Three short runs, which need no files: one that is killed and goes on; one with another
recipe and a validation of none; one on a text. What the readers say is compared with the lines of train's --metrics and
with the diagnostics in the run's folder. Needs the package tensorboard, and pillow, which comes with it.
"""

import argparse
import base64
import io
import json
import math
import os
import pathlib
import signal
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image
from tensorboard import context
from tensorboard.backend.event_processing import data_provider, event_accumulator, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

from models import Checks, run

METRICS = {"loss": "train/loss", "learning_rate": "train/learning_rate", "seconds": "train/seconds",
           "penalty": "train/penalty"}
LAYER_METRICS = {"sign_flips": "sign_flips", "at_clip": "weights_at_clip", "inside_window": "inside_window"}
LAYER_DIAGNOSTICS = ["flipped_back", "gradient_norm", "constant_channels", "dead_channels"]


def lines_of(path):
    return [json.loads(line) for line in open(path)]


def expected_scalars(epoch, seen):
    """What the line of an epoch and its diagnostics, which a kill may have lost, say, by tag."""
    scalars = {tag: epoch[name] for name, tag in METRICS.items() if name in epoch}
    for key, examples in [("error", "examples"), ("perplexity", "tokens"), ("bpc", "characters")]:
        if "train_" + key in epoch:
            scalars["train/%s_per_second" % examples] = epoch["examples_per_second"]
            for which in ("train", "valid", "test"):
                scalars[key + "/" + which] = epoch[which + "_" + key]
    for value in epoch.get("values", []):
        scalars["model/" + value["name"]] = value["value"]
    for layer in epoch["layers"]:
        for name, tag in LAYER_METRICS.items():
            if name in layer:
                scalars[tag + "/" + layer["layer"]] = layer[name]
        scalars.update({v["name"] + "/" + layer["layer"]: v["value"] for v in layer.get("values", [])})
    if seen:
        scalars.update({"step/seconds": seen["step_seconds"], "step/bytes": int(seen["step_bytes"])})
    for layer in seen.get("layers", []):
        scalars.update({name + "/" + layer["layer"]: layer[name] for name in LAYER_DIAGNOSTICS if name in layer})
    return {tag: number for tag, number in scalars.items() if number is not None}


def check_scalars(checks, name, reader, epochs, diagnostics):
    expected = {}
    for epoch in epochs:
        for tag, number in expected_scalars(epoch, diagnostics.get(epoch["epoch"], {})).items():
            expected.setdefault(tag, []).append((epoch["epoch"], float(np.float32(number))))
    found = {tag: [(event.step, event.value) for event in reader.Scalars(tag)] for tag in reader.Tags()["scalars"]}
    best = {tag: found.pop(tag) for tag in list(found) if tag.startswith("best/")}
    wrong = [tag for tag in sorted(set(expected) | set(found)) if expected.get(tag) != found.get(tag)]
    count = sum(len(events) for events in found.values())
    checks.check(name + ": %d scalars of %d tags" % (count, len(found)), not wrong and count > 0, ", ".join(wrong))
    return best


def check_histograms(checks, name, reader, diagnostics):
    wrong, count = [], 0
    for tag in reader.Tags()["histograms"]:
        layer = tag[len("weights/"):]
        for event in reader.Histograms(tag):
            histogram = event.histogram_value
            told = next(l["weights"] for l in diagnostics[event.step]["layers"] if l["layer"] == layer)
            counts = [int(n) for n in told["counts"]]
            filled = [i for i, n in enumerate(counts) if n]
            ends = [told["low"] + (told["high"] - told["low"]) / len(counts) * (i + 1) for i in range(len(counts))]
            inside = slice(filled[0], filled[-1] + 1)
            same = list(histogram.bucket) == counts[inside]
            same &= np.allclose(histogram.bucket_limit, ends[inside], rtol=0, atol=1e-6)
            same &= histogram.num == sum(counts)
            for ours, theirs in [("least", "min"), ("most", "max"), ("sum", "sum"), ("sum_of_squares", "sum_squares")]:
                same &= getattr(histogram, theirs) == told.get(ours, 0)
            count += 1
            if not same:
                wrong.append("%s of epoch %d" % (tag, event.step))
    layers = sum("weights" in layer for seen in diagnostics.values() for layer in seen["layers"])
    checks.check(name + ": %d histograms" % count, not wrong and count == layers > 0, ", ".join(wrong))


def pixels_of(picture):
    shape = picture["height"], picture["width"], picture["channels"]
    return np.frombuffer(base64.b64decode(picture["pixels"]), np.uint8).reshape(shape)


def check_pictures(checks, name, reader, latest):
    pictures = {"mistakes/pictures": [mistake["picture"] for mistake in latest["mistakes"]],
                "filters/first_layer": latest["filters"]}
    for tag, expected in pictures.items():
        event = reader.Images(tag)[-1]
        sheet = np.array(Image.open(io.BytesIO(event.encoded_image_string)))
        sheet = sheet.reshape(event.height, event.width, -1)
        columns = math.ceil(math.sqrt(len(expected)))
        same = event.step == latest["epoch"]
        for i, picture in enumerate(map(pixels_of, expected)):
            height, width = picture.shape[:2]
            y, x = i // columns * (height + 1), i % columns * (width + 1)
            same &= np.array_equal(sheet[y:y + height, x:x + width], picture)
        checks.check("%s: %d pictures in %s" % (name, len(expected), tag), same and len(expected) > 1)


def text_of(reader, tag):
    event = reader.Tensors(tag)[-1]
    return event.step, event.tensor_proto.string_val[0].decode()


def hyperparameters_of(folder):
    """What the plugin's own table shows: by run, hyperparameters and the metrics' last values."""
    multiplexer = plugin_event_multiplexer.EventMultiplexer()
    multiplexer.AddRunsFromDirectory(folder)
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, folder)
    backend = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=folder))
    request = api_pb2.ListSessionGroupsRequest(start_index=0, slice_size=100)
    request.allowed_statuses.extend([api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN])
    groups = list_session_groups.Handler(context.RequestContext(), backend, "", request).run().session_groups
    return {group.name: ({name: value.number_value if value.HasField("number_value") else
                          value.bool_value if value.HasField("bool_value") else value.string_value
                          for name, value in group.hparams.items()},
                         {value.name.tag: value.value for value in group.metric_values},
                         group.sessions[0].status) for group in groups}


def read(folder):
    # As many events as there are, in place of a sample.
    reader = event_accumulator.EventAccumulator(str(folder), size_guidance={
        name: 0 for name in ("scalars", "histograms", "images", "tensors", "compressedHistograms", "audio")})
    return reader.Reload()


def check_run(checks, name, board, out, metrics):
    reader = read(board)
    epochs = lines_of(metrics)
    diagnostics = {seen["epoch"]: seen for seen in lines_of(out / "diagnostics.jsonl")}
    latest = json.load(open(out / "latest.json"))
    checks.check(name + ": %d epochs, %d with diagnostics" % (len(epochs), len(diagnostics)), len(diagnostics) > 1)
    best = check_scalars(checks, name, reader, epochs, diagnostics)
    check_histograms(checks, name, reader, diagnostics)
    times = [event.wall_time for event in reader.Scalars("train/loss")]
    checks.check(name + ": times of events", times == sorted(times) and time.time() - 3600 < times[0] <= time.time())
    step, machine = text_of(reader, "machine")
    checks.check(name + ": the machine as a text", step == latest["epoch"] and
                 "| processor | " in machine and "| cores | %d |" % latest["machine"]["cores"] in machine)
    return reader, best, epochs, latest


def train_and_kill(command, line):
    """Kills the run when it has printed a line that begins so."""
    process = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True)
    for text in process.stdout:
        if text.startswith(line):
            break
    process.send_signal(signal.SIGKILL)
    process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True, type=pathlib.Path)
    arguments, _ = parser.parse_known_args()
    checks = Checks()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        train = arguments.bin / "train"

        def command(name, *more):
            return [train, "--out=%s" % (folder / name), "--metrics=%s" % (folder / (name + ".jsonl")),
                    "--tensorboard=%s" % (folder / "board" / name), "--threads=1", *more]

        def check(name):
            return check_run(checks, name, folder / "board" / name, folder / name, folder / (name + ".jsonl"))

        small = ["--set=data.limit=2000", "--set=data.validation_examples=500", "--set=model.mlp.hidden=64,64"]
        train_and_kill(command("killed", "--epochs=5", *small), "epoch 3/")
        # As a kill within a write leaves it.
        with open(next((folder / "board" / "killed").iterdir()), "ab") as file:
            file.write(b"\x40\0\0")
        run(*command("killed", "--resume"))
        checks.check("killed: files", len(os.listdir(folder / "board" / "killed")) == 2)
        reader, best, epochs, latest = check("killed")
        check_pictures(checks, "killed", reader, latest)
        step, recipe = text_of(reader, "recipe")
        checks.check("killed: the recipe as a text", "\n      mlp {" in "\n" + recipe and "    epochs: 5" in recipe)
        step, answers = text_of(reader, "mistakes/answers")
        worst = latest["mistakes"][0]
        row = "| 1 | %s | %d | %d |" % (worst.get("example", 0), worst.get("label", 0), worst.get("answer", 0))
        checks.check("killed: the mistakes as a text", step == 5 and row in answers)

        run(*command("bits", "--recipe=mnist_bitpruning_mlp", "--epochs=2", "--set=data.name=digits",
                     "--set=data.limit=1000", "--set=data.validation_examples=0", "--set=model.mlp.hidden=32,32",
                     "--set=phase[0].from_epoch=2"))
        check("bits")

        text = " the cat sat on the mat \n" * 60
        for name in ("train", "valid", "test"):
            (folder / (name + ".txt")).write_text(text)
        run(*command("text", "--recipe=ptb_binary_lstm", "--data_dir=%s" % folder, "--epochs=2", "--set=data.steps=5",
                     "--set=model.recurrent_net.hidden=16", "--set=batch_size=2", "--set=schedule.name=constant"))
        reader, _, _, written = check("text")
        step, samples = text_of(reader, "samples")
        checks.check("text: %d samples" % len(written["samples"]), step == 2 and all(
            (sample.get("prompt", "") + sample["text"]).split("\n")[0] in samples for sample in written["samples"]))

        table = hyperparameters_of(str(folder / "board"))
        checks.check("hyperparameters: all runs", set(table) == {"killed", "bits", "text"}, ", ".join(sorted(table)))
        values, metrics, status = table["killed"]
        expected = {"name": "digits_bnn_mlp", "epochs": 5, "batch_size": 100, "model.mlp.hidden": "64, 64",
                    "model.mlp.weight_quantizer": "sign", "optimizer.learning_rate": 3e-3,
                    "optimizer.glorot_scale": True, "data.limit": 2000}
        wrong = [name for name, value in expected.items() if values.get(name) != value]
        checks.check("hyperparameters: %d fields of the recipe" % len(values), not wrong, ", ".join(wrong))
        least = min(epochs, key=lambda epoch: (epoch["valid_error"], -epoch["epoch"]))
        same = all(np.float32(least[which + "_error"]) == np.float32(metrics["best/%s_error" % which])
                   for which in ("valid", "test"))
        same &= best["best/epoch"][-1] == (5, least["epoch"])
        checks.check("hyperparameters: errors of the best epoch as metrics", same)
        checks.check("hyperparameters: the run is complete", status == api_pb2.STATUS_SUCCESS)
        checks.check("hyperparameters: a list of groups", "{from_epoch: 2" in table["bits"][0]["phase"])
    checks.finish()


if __name__ == "__main__":
    main()
