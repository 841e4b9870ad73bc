#!/usr/bin/env python3
"""Nets of Brevitas and PyTorch, imported: the packed models have to answer as the originals do.

    import_brevitas.py --bin=FOLDER [--record=FOLDER]

FOLDER has bitgrad's programs import_onnx and run_model. Each net has random weights and batch norms (running statistics
of random inputs, gammas of both signs), is exported to ONNX, imported, and run on 1,000 random inputs. With --record
the small nets of tests/interop/recorded are written instead.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
import onnx
import torch
from torch import nn

warnings.filterwarnings("ignore")

import brevitas.nn as qnn  # noqa: E402
from brevitas.core.restrict_val import RestrictValueType  # noqa: E402
from brevitas.core.scaling import ScalingImplType  # noqa: E402
from brevitas.export import export_onnx_qcdq, export_qonnx  # noqa: E402
from brevitas.quant import Int8ActPerTensorFloat  # noqa: E402
from brevitas_examples.bnn_pynq.models.common import CommonActQuant, CommonWeightQuant  # noqa: E402

EXAMPLES = 1000


def activation(bits):
    return qnn.QuantIdentity(act_quant=CommonActQuant, bit_width=bits)


def weights(bits):
    return dict(bias=False, weight_quant=CommonWeightQuant, weight_bit_width=bits)


class Norm(nn.Module):
    """The normalization of all logits by the same numbers that Brevitas's examples end with."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(0.5))
        self.register_buffer("variance", torch.tensor(7.0))

    def forward(self, x):
        return (x - self.mean) / (self.variance + 1e-4).pow(0.5) * 1.25 - 0.75


class Mlp(nn.Module):

    def __init__(self, w, a, inputs=784, width=64, layers=3, input_bits=None):
        super().__init__()
        self.layers = nn.ModuleList([activation(input_bits or a), nn.Dropout(0.2)])
        for i in range(layers):
            self.layers.append(qnn.QuantLinear(inputs if i == 0 else width, width, **weights(w)))
            self.layers.append(nn.BatchNorm1d(width))
            self.layers.append(activation(a))
            self.layers.append(nn.Dropout(0.2))
        self.layers.append(qnn.QuantLinear(width, 10, **weights(w)))
        self.layers.append(Norm())

    def forward(self, x):
        x = x.view(x.shape[0], -1)
        x = 2.0 * x - 1.0
        for layer in self.layers:
            x = layer(x)
        return x


class Cnv(nn.Module):
    """The layers of Brevitas's CNV: 3 x (conv, conv, pool), then 3 linear ones."""

    def __init__(self, w, a, width=16, input_bits=8):
        super().__init__()
        self.conv = nn.ModuleList()
        self.conv.append(qnn.QuantIdentity(
            act_quant=Int8ActPerTensorFloat.let(scaling_impl_type=ScalingImplType.CONST,
                                                restrict_scaling_type=RestrictValueType.POWER_OF_TWO,
                                                max_val=1.0, min_val=-1.0), bit_width=input_bits))
        channels = 3
        for out, pool in [(1, False), (1, True), (2, False), (2, True), (4, False), (4, False)]:
            self.conv.append(qnn.QuantConv2d(channels, out * width, 3, **weights(w)))
            self.conv.append(nn.BatchNorm2d(out * width, eps=1e-4))
            self.conv.append(activation(a))
            if pool:
                self.conv.append(nn.MaxPool2d(2))
            channels = out * width
        self.linear = nn.ModuleList()
        for inputs in [channels, 8 * width]:
            self.linear.append(qnn.QuantLinear(inputs, 8 * width, **weights(w)))
            self.linear.append(nn.BatchNorm1d(8 * width, eps=1e-4))
            self.linear.append(activation(a))
        self.linear.append(qnn.QuantLinear(8 * width, 10, **weights(w)))
        self.linear.append(Norm())

    def forward(self, x):
        x = 2.0 * x - 1.0
        for layer in self.conv:
            x = layer(x)
        x = x.view(x.shape[0], -1)
        for layer in self.linear:
            x = layer(x)
        return x


class Residual(nn.Module):
    """4 bits with scales of their own (a scale for each output of the weights), shortcuts, groups, a truncated mean."""

    def __init__(self, truncate):
        super().__init__()
        per_output = dict(weight_bit_width=4, weight_scaling_per_output_channel=True, bias=False)
        self.input = qnn.QuantIdentity(bit_width=8, return_quant_tensor=True)
        self.stem = qnn.QuantConv2d(3, 16, 3, padding=1, **per_output)
        self.norm = nn.BatchNorm2d(16)
        self.relu = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        self.a = qnn.QuantConv2d(16, 16, 3, padding=1, groups=4, **per_output)
        self.norm_a = nn.BatchNorm2d(16)
        self.shared = qnn.QuantIdentity(bit_width=5, return_quant_tensor=True)
        self.add = qnn.QuantEltwiseAdd(input_quant=None, output_quant=None)
        self.relu_b = qnn.QuantReLU(bit_width=4, return_quant_tensor=True)
        self.pool = qnn.TruncAvgPool2d(4, bit_width=4) if truncate else nn.AvgPool2d(4)
        self.fc = qnn.QuantLinear(16 * 16, 10, bias=True, weight_bit_width=4)

    def forward(self, x):
        x = self.relu(self.norm(self.stem(self.input(x))))
        y = self.shared(self.norm_a(self.a(x)))
        x = self.relu_b(self.add(self.shared(x), y))
        x = self.pool(x)
        x = x.flatten(1)
        return self.fc(x)


class FloatNet(nn.Module):

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, stride=2, groups=2), nn.LeakyReLU(0.1), nn.Conv2d(16, 16, 1), nn.PReLU(16),
            nn.Conv2d(16, 16, 3, padding=2, dilation=2), nn.Sigmoid())
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.a, self.b = nn.Linear(16, 12), nn.Linear(16 * 7 * 7, 12)
        self.last = nn.Sequential(nn.Hardtanh(), nn.Dropout(), nn.Linear(24, 10), nn.Tanh())

    def forward(self, x):
        x = self.features(x)
        means = self.a(self.pool(x).view(x.size(0), -1))
        return self.last(torch.cat([means, self.b(x.view(x.size(0), -1))], 1))


def randomize(net, shape, seed):
    """Batch norms with statistics of random inputs, and gammas of both signs."""
    torch.manual_seed(seed)
    net.train()
    with torch.no_grad():
        for layer in net.modules():
            # At a fixed scale of 1 the usual initial values would all be 0.
            if isinstance(layer, (qnn.QuantConv2d, qnn.QuantLinear)):
                layer.weight.uniform_(-1.5, 1.5)
        for _ in range(20):
            net(torch.rand(100, *shape))
        net.eval()
        for layer in net.modules():
            if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
                layer.weight.copy_(torch.randn(layer.weight.shape))
                layer.bias.copy_(torch.randn(layer.bias.shape) * 0.5)
                layer.running_mean.add_(torch.randn(layer.bias.shape) * layer.running_var.sqrt() * 0.2)
    return net


def export_float(net, example, path, dynamo):
    options = \
        dict(dynamo=True, external_data=False, dynamic_shapes=({0: torch.export.Dim("batch")},)) if dynamo else \
        dict(dynamo=False, dynamic_axes={"x": {0: "batch"}}, input_names=["x"])
    torch.onnx.export(net, (example,), path, **options)


def nets():
    """name, net, shape of an example, exporter, how many of the layers have to be packed (None: not checked)."""
    qonnx = lambda net, x, path: export_qonnx(net, args=x, export_path=path)
    qcdq = lambda net, x, path: export_onnx_qcdq(net, args=x, export_path=path)
    image, digit = (3, 32, 32), (1, 28, 28)
    yield "tfc_w1a1", Mlp(1, 1), digit, qonnx, 4
    yield "tfc_w1a2", Mlp(1, 2), digit, qonnx, 4
    yield "tfc_w2a2", Mlp(2, 2), digit, qonnx, 4
    yield "lfc_w1a1", Mlp(1, 1, width=256), digit, qonnx, 4
    yield "cnv_w1a1", Cnv(1, 1), image, qonnx, 9
    yield "cnv_w1a2", Cnv(1, 2), image, qonnx, 9
    yield "cnv_w2a2", Cnv(2, 2), image, qonnx, 9
    yield "cnv_w2a2_qcdq", Cnv(2, 2), image, qcdq, 9
    yield "residual_4bit", Residual(False), (3, 16, 16), qonnx, None
    yield "residual_trunc", Residual(True), (3, 16, 16), qonnx, 3
    yield "float", FloatNet(), image[:1] + (30, 30), lambda net, x, path: export_float(net, x, path, True), 0
    yield "float_legacy", FloatNet(), image[:1] + (30, 30), lambda net, x, path: export_float(net, x, path, False), 0


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError(f"{os.path.basename(command[0])}: {result.stderr.strip()}")
    return result.stdout.strip().splitlines()


def packed_answers(bin_folder, model, x, folder):
    """The packed model's answers; images are NHWC there."""
    rows = np.ascontiguousarray(x.transpose(0, 2, 3, 1) if x.ndim == 4 else x, dtype=np.float32)
    inputs, outputs = os.path.join(folder, "x.f32"), os.path.join(folder, "y.f32")
    rows.tofile(inputs)
    run([os.path.join(bin_folder, "run_model"), f"--model={model}", f"--inputs={inputs}", f"--outputs={outputs}"])
    return np.fromfile(outputs, dtype=np.float32).reshape(len(x), -1)


def check(name, net, shape, export, expected, bin_folder, folder):
    net = randomize(net, shape, seed=len(name))
    onnx_file, model = os.path.join(folder, name + ".onnx"), os.path.join(folder, name + ".bgm")
    sys.stdout.flush()
    with open(os.devnull, "w") as null:  # exporters talk
        kept, sys.stdout = sys.stdout, null
        try:
            export(net, torch.rand(2 if "float" in name else 1, *shape), onnx_file)
        finally:
            sys.stdout = kept
    lines = run([os.path.join(bin_folder, "import_onnx"), f"--onnx={onnx_file}", f"--out={model}"])
    counts = dict(item.split("=") for item in lines[-1].split()[1:])
    # Values on a grid, so that some lie where quantizers decide.
    x = np.random.RandomState(1).randint(0, 256, (EXAMPLES, *shape)).astype(np.float32) / np.float32(255)
    with torch.no_grad():
        y = net(torch.from_numpy(x))
        y = (y.value if hasattr(y, "value") else y).numpy()
    ours = packed_answers(bin_folder, model, x, folder)
    if y.std(0).min() == 0:
        raise RuntimeError("a logit is the same for all inputs")
    different = int((ours.argmax(1) != y.argmax(1)).sum())
    far = float(np.abs(ours - y).max())
    print(f"{name}: {lines[-1]} argmax_different={different} max_difference={far:.3g} "
          f"logits=[{y.min():.3g}, {y.max():.3g}]", flush=True)
    ok = different == 0 and (expected is None or int(counts["packed"]) == expected)
    if not ok:
        print("\n".join(lines))
    return ok


def record(folder):
    """Small nets with inputs and answers, for tests/interop/recorded_test.cc."""
    for name, net in [("tfc_w1a1", Mlp(1, 1, inputs=64, width=16, layers=2)),
                      ("tfc_w2a2", Mlp(2, 2, inputs=64, width=16, layers=2))]:
        net = randomize(net, (1, 8, 8), seed=3)
        x = torch.randint(0, 256, (64, 1, 8, 8)).float() / 255
        export_qonnx(net, args=x[:1], export_path=os.path.join(folder, name + ".onnx"))
        with torch.no_grad():
            y = net(x)
        file = os.path.join(folder, name + ".onnx")
        model = onnx.load(file)
        # What the exporter says about its own source is not part of the net.
        for node in model.graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
        for value in [*model.graph.value_info, *model.graph.input, *model.graph.output]:
            del value.metadata_props[:]
        del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
        onnx.save(model, file)
        if os.path.exists(file + ".data"):
            os.remove(file + ".data")
        x.numpy().tofile(os.path.join(folder, name + ".inputs"))
        y.numpy().tofile(os.path.join(folder, name + ".logits"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", help="folder with import_onnx and run_model")
    parser.add_argument("--record", help="folder for small nets")
    parser.add_argument("--only", default="", help="nets whose names contain this")
    parser.add_argument("--keep", help="folder for the files, instead of a temporary one")
    flags, _ = parser.parse_known_args()  # interop.sh gives every script the same ones
    torch.manual_seed(1)
    if flags.record:
        record(flags.record)
        return 0
    begin, failed, count = time.time(), [], 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = flags.keep or temporary
        for name, net, shape, export, expected in nets():
            if flags.only not in name:
                continue
            count += 1
            try:
                ok = check(name, net, shape, export, expected, flags.bin, folder)
            except Exception as error:  # the next nets are checked all the same
                print(f"{name}: {error}", flush=True)
                ok = False
            if not ok:
                failed.append(name)
    print(f"import_brevitas: nets={count} failed={len(failed)} {' '.join(failed)} seconds={time.time() - begin:.0f}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
