"""Trains the float net of a text recipe in PyTorch, by the recipe's own schedule, for comparison with bitgrad's.

  python3 bench/peers/language_model.py --data_dir=DIR                # ptb_float_lstm on train.txt, valid.txt, test.txt
  python3 bench/peers/language_model.py --data_dir=DIR --characters   # the same on input.txt

What is the same as in bitgrad: the tokens (a line's end is one; the first input is a line's end, so that N tokens are N
predictions), streams and unroll length, state from batch to batch, initial distributions, the mean loss over a batch,
clipping by the global norm, the optimizer and the schedule. What differs: the random numbers.
"""

import argparse
import math
import os
import time

import torch


def words(path):
  """The tokens of a text: its words, and "<eos>" for the end of each line."""
  with open(path, encoding="utf-8") as file:
    return [token for line in file for token in line.split() + ["<eos>"]]


class Text:
  """Tokens as numbers: `train`, `valid` and `test`, and the number of the line's end."""

  def __init__(self, data_dir, characters):
    if characters:
      with open(os.path.join(data_dir, "input.txt"), encoding="utf-8", newline="") as file:
        text = file.read()
      first, second = len(text) * 90 // 100, len(text) * 95 // 100
      parts, end = [text[:first], text[first:second], text[second:]], "\n"
    else:
      parts, end = [words(os.path.join(data_dir, f"{part}.txt")) for part in ("train", "valid", "test")], "<eos>"
    numbers = {token: i for i, token in enumerate(dict.fromkeys(parts[0]))}
    unknown = numbers.setdefault("<unk>", len(numbers)) if not characters else None
    self.size = len(numbers)
    self.end = numbers[end]
    self.train, self.valid, self.test = (torch.tensor([numbers.get(token, unknown) for token in part])
                                         for part in parts)


def streams(tokens, end, count):
  """Inputs and targets [length, count]: each stream a contiguous piece; what does not fill all of them is left out."""
  inputs = torch.cat([torch.tensor([end]), tokens[:-1]])
  length = len(tokens) // count
  return tuple(t[:length * count].view(count, length).t().contiguous() for t in (inputs, tokens))


class Net(torch.nn.Module):

  def __init__(self, vocabulary, width, layers, keep):
    super().__init__()
    self.embedding = torch.nn.Embedding(vocabulary, width)
    self.lstm = torch.nn.LSTM(width, width, layers, dropout=1 - keep)
    self.output = torch.nn.Linear(width, vocabulary)

  def forward(self, tokens, state):
    hidden, state = self.lstm(self.embedding(tokens), state)
    return self.output(hidden), state


def mean_loss(net, batches, steps):
  """The mean negative log-likelihood of all targets."""
  inputs, targets = batches
  total, state = 0.0, None
  with torch.no_grad():
    for begin in range(0, len(inputs), steps):
      logits, state = net(inputs[begin:begin + steps], state)
      target = targets[begin:begin + steps]
      total += torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="sum").item()
  return total / targets.numel()


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0],
                                   formatter_class=argparse.ArgumentDefaultsHelpFormatter)
  parser.add_argument("--data_dir", required=True)
  parser.add_argument("--characters", action="store_true")
  parser.add_argument("--width", type=int, default=300)
  parser.add_argument("--layers", type=int, default=1)
  parser.add_argument("--streams", type=int, default=20)
  parser.add_argument("--steps", type=int, default=35)
  parser.add_argument("--epochs", type=int, default=15)
  parser.add_argument("--keep", type=float, default=1.0)
  parser.add_argument("--initial_range", type=float, default=0.1, help="of weights and the table; biases begin with 0")
  parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
  parser.add_argument("--learning_rate", type=float, default=1.0)
  parser.add_argument("--max_gradient_norm", type=float, default=5.0)
  parser.add_argument("--seed", type=int, default=1)
  parser.add_argument("--threads", type=int, default=1)
  args = parser.parse_args()
  torch.set_num_threads(args.threads)
  torch.manual_seed(args.seed)
  text = Text(args.data_dir, args.characters)
  net = Net(text.size, args.width, args.layers, args.keep)
  with torch.no_grad():
    for parameter in net.parameters():
      if parameter.dim() > 1:
        parameter.uniform_(-args.initial_range, args.initial_range)
      else:
        parameter.zero_()
  rule = torch.optim.SGD if args.optimizer == "sgd" else torch.optim.Adam
  optimizer = rule(net.parameters(), lr=args.learning_rate)
  train = streams(text.train, text.end, args.streams)
  valid, test = (streams(part, text.end, 1) for part in (text.valid, text.test))
  print(f"{text.size} tokens; {len(text.train)} to train with, {len(text.valid)} to validate, {len(text.test)} to test")

  shown = (lambda loss: loss / math.log(2)) if args.characters else math.exp
  best = math.inf
  for epoch in range(args.epochs):
    start, total, state = time.time(), 0.0, None
    net.train()
    for begin in range(0, len(train[0]), args.steps):
      inputs, targets = (t[begin:begin + args.steps] for t in train)
      optimizer.zero_grad()
      logits, state = net(inputs, state)
      state = tuple(s.detach() for s in state)
      loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
      loss.backward()
      torch.nn.utils.clip_grad_norm_(net.parameters(), args.max_gradient_norm)
      optimizer.step()
      total += loss.item() * targets.numel()
    seconds = time.time() - start
    net.eval()
    losses = [mean_loss(net, part, args.steps) for part in (valid, test)]
    print(f"epoch {epoch + 1}  train {shown(total / train[1].numel()):.3f}  valid {shown(losses[0]):.3f}  "
          f"test {shown(losses[1]):.3f}  rate {optimizer.param_groups[0]['lr']:g}  {seconds:.1f} s", flush=True)
    if losses[0] >= best:
      for group in optimizer.param_groups:
        group["lr"] *= 0.5
    best = min(best, losses[0])


if __name__ == "__main__":
  main()
