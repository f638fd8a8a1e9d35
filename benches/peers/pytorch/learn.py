#!/usr/bin/env python3
"""Trains the networks of `examples/training` in PyTorch on the CPU, on the same files, and prints what they come to, a JSON line each.

    learn.py [digits_cnn] [digits_lenet] [phonemes] [shakespeare] [spoken_digits] [--data FOLDER] [--threads N] [--seed N]

FOLDER is where `scripts/fetch-*` put the data: target/data. Batches, steps, optimizers and schedules are those of the configurations there.
"""

import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from torch import nn


class CNN(nn.Module):
    """three 3x3 convolutions, two 2x2 max-pools, two fully connected"""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = nn.Conv2d(1, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1), nn.Conv2d(64, 64, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(64 * 49, 128), nn.Linear(128, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


class LeNet(nn.Module):
    """LeCun 1998: 5x5 convolutions (the first padded by 2), tanh, 2x2 average pools, three fully connected"""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.avg_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.avg_pool2d(torch.tanh(self.conv2(x)), 2).flatten(1)
        return self.fc3(torch.tanh(self.fc2(torch.tanh(self.fc1(x)))))


class Seq2Seq(nn.Module):
    """embedding and GRU over letters; embedding, GRU from the encoder's last state, and linear over phonemes"""

    def __init__(self, letters, phonemes, hidden=256):
        super().__init__()
        self.source, self.target = nn.Embedding(letters, hidden), nn.Embedding(phonemes, hidden)
        self.encoder, self.decoder = nn.GRU(hidden, hidden, batch_first=True), nn.GRU(hidden, hidden, batch_first=True)
        self.out = nn.Linear(hidden, phonemes)

    def encode(self, source, lengths):
        packed = nn.utils.rnn.pack_padded_sequence(self.source(source), lengths, batch_first=True, enforce_sorted=False)
        return self.encoder(packed)[1]

    def forward(self, source, lengths, given):
        return self.out(self.decoder(self.target(given), self.encode(source, lengths))[0])

    def greedy(self, source, lengths, begin, end, most):
        state = self.encode(source, lengths)
        token = torch.full((len(source), 1), begin)
        tokens = []
        for _ in range(most):
            output, state = self.decoder(self.target(token), state)
            token = self.out(output).argmax(-1)
            tokens.append(token)
        rows = torch.cat(tokens, 1).tolist()
        return [row[: row.index(end)] if end in row else row for row in rows]


class Block(nn.Module):
    """a pre-norm block: causal attention, then two fully connected with exact gelu between them"""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """token and position embeddings, four blocks, norm, head without bias; initialised as nanoGPT does"""

    def __init__(self, vocabulary, width=128, heads=4, blocks=4, context=64):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.dim() > 1:
                residual = name.endswith(("proj.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * blocks) if residual else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, ids):
        return self.head(self.norm(self.blocks(self.tokens(ids) + self.positions(torch.arange(ids.shape[1])))))


class Speech(nn.Module):
    """four frames side by side, GRUs in both directions, linear to the digits and the blank"""

    def __init__(self, bands=32, stacked=4, hidden=96, layers=2, classes=11):
        super().__init__()
        self.stacked = stacked
        self.rnn = nn.GRU(bands * stacked, hidden, layers, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * hidden, classes)

    def forward(self, features, lengths):
        """Logits [time, batch, classes], and how many frames of each count."""
        batch, time, bands = features.shape
        features = F.pad(features, (0, 0, 0, -time % self.stacked)).reshape(batch, -1, bands * self.stacked)
        lengths = (lengths + self.stacked - 1) // self.stacked
        packed = nn.utils.rnn.pack_padded_sequence(features, lengths, batch_first=True, enforce_sorted=False)
        states, _ = nn.utils.rnn.pad_packed_sequence(self.rnn(packed)[0], batch_first=True, total_length=features.shape[1])
        return self.out(states).transpose(0, 1), lengths


def batches(count, size, seed, lengths=None):
    """Batches of numbers below `count`, epoch after epoch; where there are lengths, those of a batch are
    alike: each sixteen batches of an order are sorted by them."""
    random = np.random.default_rng(seed)
    while True:
        order = random.permutation(count)
        if lengths is not None:
            pool = 16 * size
            order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in np.split(order, range(pool, count, pool))])
        parts = np.split(order, range(size, count, size))
        for number in random.permutation(len(parts)) if lengths is not None else range(len(parts)):
            yield parts[number]


def ids(array):
    return torch.from_numpy(array.astype(np.int64))


def distance(a, b):
    row = list(range(len(b) + 1))
    for number, element in enumerate(a):
        diagonal, row[0] = row[0], number + 1
        for column, other in enumerate(b):
            diagonal, row[column + 1] = row[column + 1], min(diagonal + (element != other), row[column + 1] + 1, row[column] + 1)
    return row[-1]


def learn(network, loss, steps, rate, weight_decay=0.01, betas=(0.9, 0.999), clip=None, schedule=None):
    """Steps of AdamW; `loss` gives that of the next batch."""
    update = torch.optim.AdamW(network.parameters(), lr=rate, betas=betas, weight_decay=weight_decay, fused=True)
    if schedule is None:
        rates = torch.optim.lr_scheduler.OneCycleLR(update, rate, total_steps=steps)
    else:
        rates = torch.optim.lr_scheduler.LambdaLR(update, schedule)
    start = time.perf_counter()
    network.train()
    for _ in range(steps):
        update.zero_grad()
        loss().backward()
        if clip is not None:
            nn.utils.clip_grad_norm_(network.parameters(), clip)
        update.step()
        rates.step()
    network.eval()
    return time.perf_counter() - start


def digits(network, epochs, rate, folder, seed):
    parts = {}
    for part in ("train", "held_out"):
        file = load_file(folder / "digits" / f"{part}.safetensors")
        image = (torch.from_numpy(file["image"].astype(np.float32)) / 255 - 0.1307) / 0.3081
        parts[part] = image, ids(file["label"])
    image, label = parts["train"]
    chosen = batches(len(label), 50, seed)

    def loss():
        batch = torch.from_numpy(next(chosen))
        return F.cross_entropy(network(image[batch]), label[batch])

    seconds = learn(network, loss, epochs * len(label) // 50, rate)
    image, label = parts["held_out"]
    with torch.no_grad():
        found = network(image).argmax(1)
    return dict(accuracy=(found == label).float().mean().item(), seconds=seconds)


def phonemes(folder, seed):
    parts = {part: load_file(folder / "phonemes" / f"{part}.safetensors") for part in ("train", "held_out")}
    network = Seq2Seq(30, 42)
    train = parts["train"]
    lengths = train["source_lengths"].astype(int)
    chosen = batches(len(lengths), 64, seed, lengths)

    def loss():
        batch = next(chosen)
        longest = int(train["target_lengths"][batch].max()) + 1
        target = np.full((len(batch), longest), -100)
        given = np.zeros((len(batch), longest), int)
        for row, number in enumerate(batch):
            length = int(train["target_lengths"][number])
            target[row, :length], target[row, length] = train["target"][number, :length], 2
            given[row, 0], given[row, 1 : length + 1] = 1, train["target"][number, :length]
        source = ids(train["source"][batch][:, : lengths[batch].max()])
        logits = network(source, torch.from_numpy(lengths[batch]), torch.from_numpy(given))
        return F.cross_entropy(logits.flatten(0, 1), torch.from_numpy(target).flatten(), ignore_index=-100)

    seconds = learn(network, loss, 2000, 2e-3, clip=1.0)
    held = parts["held_out"]
    found = network.greedy(ids(held["source"]), torch.from_numpy(held["source_lengths"].astype(int)), 1, 2, 24)
    true = [row[:length].tolist() for row, length in zip(held["target"], held["target_lengths"])]
    errors = [distance(a, b) for a, b in zip(found, true)]
    return dict(token_error_rate=sum(errors) / sum(map(len, true)), exact=errors.count(0) / len(true), seconds=seconds)


def shakespeare(folder, seed):
    parts = {part: ids(load_file(folder / "shakespeare" / f"{part}.safetensors")["tokens"]) for part in ("train", "held_out")}
    network = GPT(64)
    random = np.random.default_rng(seed)

    def loss():
        starts = random.integers(len(parts["train"]) - 64, size=12)
        window = torch.stack([parts["train"][start : start + 65] for start in starts])
        return F.cross_entropy(network(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())

    def schedule(step):
        if step < 100:
            return (step + 1) / 100
        return 0.1 + 0.45 * (1 + math.cos(math.pi * (step - 100) / 1900))

    seconds = learn(network, loss, 2000, 1e-3, 0.1, (0.9, 0.99), 1.0, schedule)
    text = parts["held_out"]
    count = (len(text) - 1) // 64
    torch.set_grad_enabled(False)
    given, target = text[: count * 64].view(count, 64), text[1 : count * 64 + 1].view(count, 64)
    losses = [F.cross_entropy(network(a).flatten(0, 1), b.flatten(), reduction="sum").item() for a, b in zip(given.split(256), target.split(256))]
    return dict(nats=sum(losses) / (count * 64), seconds=seconds)


def spoken_digits(folder, seed):
    parts = {part: load_file(folder / "spoken_digits" / f"{part}.safetensors") for part in ("train", "held_out")}
    network = Speech()
    train = parts["train"]
    lengths = train["features_lengths"].astype(int)
    chosen = batches(len(lengths), 32, seed, lengths)

    def run(part, batch):
        frames = part["features_lengths"][batch].astype(int)
        features = torch.from_numpy(part["features"][batch][:, : frames.max()].astype(np.float32)) / 32 - 4
        return network(features, torch.from_numpy(frames))

    def loss():
        batch = next(chosen)
        logits, frames = run(train, batch)
        target, count = ids(train["target"][batch]), ids(train["target_lengths"][batch])
        return F.ctc_loss(logits.log_softmax(-1), target, frames, count, zero_infinity=True)

    seconds = learn(network, loss, 8 * math.ceil(len(lengths) / 32), 3e-3, clip=1.0)
    held = parts["held_out"]
    exact, count = 0, len(held["target_lengths"])
    for batch in np.split(np.arange(count), range(50, count, 50)):
        logits, frames = run(held, batch)
        for number, row, length in zip(batch, logits.argmax(-1).T.tolist(), frames):
            row = [a for a, b in zip(row[:length], [0] + row[: length - 1]) if a != b and a != 0]
            exact += row == held["target"][number, : held["target_lengths"][number]].tolist()
    return dict(exact=exact / count, seconds=seconds)


NETWORKS = dict(
    digits_cnn=lambda *a: digits(CNN(), 6, 2e-3, *a),
    digits_lenet=lambda *a: digits(LeNet(), 8, 4e-3, *a),
    phonemes=phonemes,
    shakespeare=shakespeare,
    spoken_digits=spoken_digits,
)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; all if left out")
    parser.add_argument("--data", type=Path, default=Path("target/data"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    unknown = set(arguments.networks) - set(NETWORKS)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    for name in arguments.networks or NETWORKS:
        torch.set_grad_enabled(True)
        torch.manual_seed(arguments.seed)
        found = NETWORKS[name](arguments.data, arguments.seed)
        found = {what: round(number, 4) for what, number in found.items()}
        print(json.dumps(dict(engine=f"PyTorch {torch.__version__}", network=name, **found)), flush=True)


if __name__ == "__main__":
    main()
