#!/usr/bin/env python3
"""Weights between bitgrad and PyTorch by safetensors files: the same answers on MNIST's test images on both sides.

    safetensors_torch.py --bin=FOLDER --mnist=FOLDER

--bin has bitgrad's programs train, safetensors and evaluate; --mnist has MNIST's idx files, without which nothing runs.
For mnist_relu_convnet and mnist_float_mlp: a short training in bitgrad, whose weights PyTorch loads, and a short
training in PyTorch, whose weights a checkpoint of bitgrad takes. In both directions the test errors of `evaluate` and
of PyTorch have to be those of the same number of images, but for one, where logits are as good as equal. Needs the
packages torch, numpy and safetensors.
"""

import argparse
import gzip
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import nn


def read_idx(folder, name):
    """The array of an idx file, plain or gzipped."""
    path = os.path.join(folder, name)
    with (open(path, "rb") if os.path.exists(path) else gzip.open(path + ".gz")) as file:
        data = file.read()
    rank = data[3]
    shape = [int.from_bytes(data[4 + 4 * i:8 + 4 * i], "big") for i in range(rank)]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def images_and_labels(folder, which):
    """Images as bitgrad's nets see them, (2p - 255) / 255, [N, 1, 28, 28]."""
    images = read_idx(folder, which + "-images-idx3-ubyte").astype(np.float32)
    labels = read_idx(folder, which + "-labels-idx1-ubyte").astype(np.int64)
    return torch.from_numpy((2 * images - 255) / 255)[:, None], torch.from_numpy(labels)


def relu_convnet():
    return nn.Sequential(nn.Conv2d(1, 2, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(2, 2, 5), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))


RELU_CONVNET_NAMES = """
conv1/weight = 0.weight nchw
conv1/bias = 0.bias
conv2/weight = 3.weight nchw
conv2/bias = 3.bias
hidden1/weight = 7.weight from_nchw(2,4,4)
hidden1/bias = 7.bias
output/weight = 9.weight
output/bias = 9.bias
"""


def float_mlp():
    layers = [nn.Flatten()]
    widths = [784, 1024, 1024, 1024, 10]
    for i, (inputs, outputs) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs, eps=1e-4)]
        layers += [nn.ReLU()] if i < 3 else []
    return nn.Sequential(*layers)


FLOAT_MLP_NAMES = "".join(f"""
{layer}/weight = {i}.weight
{layer}/norm/gamma = {i + 1}.weight
{layer}/norm/beta = {i + 1}.bias
{layer}/norm/running_mean = {i + 1}.running_mean
{layer}/norm/running_statistic = {i + 1}.running_var
""" for layer, i in [("hidden1", 1), ("hidden2", 4), ("hidden3", 7), ("output", 10)])


def run(*command):
    """What the program prints; its last line is what counts."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)}: {result.stderr}")
    return result.stdout


def wrong_of_torch(net, images, labels):
    net.eval()
    with torch.no_grad():
        answers = torch.cat([net(images[i:i + 500]).argmax(1) for i in range(0, len(images), 500)])
    return int((answers != labels).sum())


def wrong_of_bitgrad(programs, data, checkpoint):
    """How many of the test images that `evaluate` looks at are wrong, and how many these are."""
    out = run(f"{programs}/evaluate", f"--checkpoint={checkpoint}", f"--data_dir={data}", "--threads=1")
    line = out.splitlines()[-1]
    images = int(re.search(r"images=(\d+)", line)[1])
    return round(float(re.search(r"graph_error=([0-9.]+)%", line)[1]) / 100 * images), images


def train_torch(net, images, labels, steps=150):
    net.train()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for step in range(steps):
        batch = torch.arange(100 * step, 100 * (step + 1)) % len(images)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(images[batch]), labels[batch]).backward()
        optimizer.step()


def check(what, ours, net, test, failures):
    """Compares (wrong, images) of bitgrad with PyTorch's net on the same images, which are the first ones."""
    wrong, count = ours
    theirs = wrong_of_torch(net, test[0][:count], test[1][:count])
    good = abs(wrong - theirs) <= 1
    print(f"{what}: wrong of {count} images by bitgrad {wrong}, by PyTorch {theirs}{'' if good else '  DIFFERENT'}",
          flush=True)
    if not good:
        failures.append(what)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--mnist")
    arguments, _ = parser.parse_known_args()  # interop.sh gives every script the same ones
    programs, data = arguments.bin, arguments.mnist
    if not data:
        print("safetensors_torch: skipped, there is no --mnist=FOLDER")
        return
    torch.set_num_threads(1)
    torch.manual_seed(1)
    train_images, train_labels = images_and_labels(data, "train")
    test = images_and_labels(data, "t10k")
    failures = []
    for recipe, make, names in [("mnist_relu_convnet", relu_convnet, RELU_CONVNET_NAMES),
                                ("mnist_float_mlp", float_mlp, FLOAT_MLP_NAMES)]:
        with tempfile.TemporaryDirectory() as folder:
            names_file = f"{folder}/net.names"
            with open(names_file, "w") as file:
                file.write(names)
            run(f"{programs}/train", f"--recipe={recipe}", f"--data_dir={data}", f"--out={folder}/run", "--epochs=1",
                "--set=data.limit=4000", "--set=data.validation_examples=500", "--threads=1")
            checkpoint = f"{folder}/run/best.bgc"

            out = run(f"{programs}/safetensors", f"--checkpoint={checkpoint}", f"--names={names_file}",
                      f"--out={folder}/net.safetensors")
            print(out.splitlines()[-1])
            net = make()
            # PyTorch counts the batches of a batch norm; bitgrad does not.
            loaded = net.load_state_dict(load_file(f"{folder}/net.safetensors"), strict=False)
            assert not loaded.unexpected_keys, loaded.unexpected_keys
            assert all(key.endswith("num_batches_tracked") for key in loaded.missing_keys), loaded.missing_keys
            ours = wrong_of_bitgrad(programs, data, checkpoint)
            check(f"{recipe}, trained by bitgrad", ours, net, test, failures)

            net = make()
            train_torch(net, train_images, train_labels)
            save_file(net.state_dict(), f"{folder}/torch.safetensors")
            out = run(f"{programs}/safetensors", f"--checkpoint={checkpoint}", f"--from={folder}/torch.safetensors",
                      f"--names={names_file}", "--allow_extra", f"--out={folder}/torch.bgc")
            print(out.splitlines()[-1])
            ours = wrong_of_bitgrad(programs, data, f"{folder}/torch.bgc")
            check(f"{recipe}, trained by PyTorch", ours, net, test, failures)
    if failures:
        sys.exit(f"FAIL: {', '.join(failures)}")
    print("safetensors_torch: ok")


if __name__ == "__main__":
    main()
