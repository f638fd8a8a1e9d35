#!/usr/bin/env python3
"""Times training steps in PyTorch on the CPU, and the forward passes alone, and prints two JSON lines a network.

    train.py [seq2seq] [cnn] [gpt] [--threads N] [--seconds N]

A sample is so many passes and one read of the last loss, divided by their number. Samples of both kinds alternate. The networks and
what is compared: README.md one folder up.
"""

import argparse
import json
import math
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

SAMPLE_SECONDS = 0.25
FEWEST_SAMPLES = 5
MOST_PASSES = 16


class Seq2Seq(nn.Module):
    """embedding, GRU over 20 steps (steps before batch), linear at every step"""

    VOCABULARY, HIDDEN, CLASSES, STEPS, BATCH = 1000, 256, 1000, 20, 32

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(self.VOCABULARY, self.HIDDEN)
        self.rnn = nn.GRU(self.HIDDEN, self.HIDDEN)
        self.out = nn.Linear(self.HIDDEN, self.CLASSES)

    def forward(self, ids):
        return self.out(self.rnn(self.embedding(ids))[0]).flatten(0, 1)

    def data(self):
        shape = self.STEPS, self.BATCH
        return torch.randint(self.VOCABULARY, shape), torch.randint(self.CLASSES, shape).flatten()


class CNN(nn.Module):
    """three 3x3 convolutions, two 2x2 max-pools, two fully connected"""

    CHANNELS, HIDDEN, CLASSES, SIZE, BATCH = (32, 64, 64), 128, 10, 28, 32

    def __init__(self):
        super().__init__()
        a, b, c = self.CHANNELS
        self.conv1 = nn.Conv2d(1, a, 3, padding=1)
        self.conv2 = nn.Conv2d(a, b, 3, padding=1)
        self.conv3 = nn.Conv2d(b, c, 3, padding=1)
        self.fc1 = nn.Linear(c * (self.SIZE // 4) ** 2, self.HIDDEN)
        self.fc2 = nn.Linear(self.HIDDEN, self.CLASSES)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.max_pool2d(F.relu(self.conv3(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))

    def data(self):
        return torch.randn(self.BATCH, 1, self.SIZE, self.SIZE), torch.randint(self.CLASSES, (self.BATCH,))


class Block(nn.Module):
    """a pre-norm block: causal attention, then two fully connected with exact gelu between them"""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.proj = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.proj(self.attend(self.qkv(self.norm1(x))))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    def attend(self, qkv):
        q, k, v = (t.unflatten(2, (self.heads, -1)).transpose(1, 2) for t in qkv.chunk(3, -1))
        return F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)


class GPT(nn.Module):
    """token and position embeddings, four blocks, norm, head without bias"""

    VOCABULARY, WIDTH, HEADS, BLOCKS, CONTEXT, BATCH = 96, 128, 4, 4, 64, 12

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(self.VOCABULARY, self.WIDTH)
        self.positions = nn.Embedding(self.CONTEXT, self.WIDTH)
        self.blocks = nn.Sequential(*(Block(self.WIDTH, self.HEADS) for _ in range(self.BLOCKS)))
        self.norm = nn.LayerNorm(self.WIDTH)
        self.head = nn.Linear(self.WIDTH, self.VOCABULARY, bias=False)

    def forward(self, ids):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)

    def data(self):
        shape = self.BATCH, self.CONTEXT
        return torch.randint(self.VOCABULARY, shape), torch.randint(self.VOCABULARY, shape).flatten()


NETWORKS = dict(seq2seq=Seq2Seq, cnn=CNN, gpt=GPT)


def passes(network):
    """A forward pass and a training step; each returns the loss, unread."""
    data, target = network.data()
    update = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=True)

    @torch.no_grad()
    def forward():
        return F.cross_entropy(network(data), target)

    def step():
        update.zero_grad()
        loss = F.cross_entropy(network(data), target)
        loss.backward()
        update.step()
        return loss.detach()

    return dict(forward=forward, step=step)


def sample(run, times):
    """Seconds of one pass, as the mean over so many, those that all threads computed, and the last loss."""
    start = time.perf_counter(), time.process_time()
    for _ in range(times):
        loss = run()
    value = loss.item()
    return (time.perf_counter() - start[0]) / times, (time.process_time() - start[1]) / times, value


def measure(name, seconds):
    torch.manual_seed(3)
    network = NETWORKS[name]()
    runs = passes(network)
    times, found = {}, {what: [] for what in runs}
    first = sample(runs["forward"], 1)[-1]
    for what, run in runs.items():
        once = min(sample(run, 1)[0] for _ in range(5))
        times[what] = max(1, min(MOST_PASSES, round(SAMPLE_SECONDS / once)))
    start = time.perf_counter()
    while len(found["step"]) < FEWEST_SAMPLES or time.perf_counter() - start < seconds:
        for what, run in runs.items():
            *taken, loss = sample(run, times[what])
            found[what].append(taken)
    if not (math.isfinite(loss) and loss < first):
        raise SystemExit(f"{name}: the loss went from {first} to {loss}")
    parameters = sum(p.numel() for p in network.parameters())
    for what, samples in found.items():
        print(json.dumps(line(name, what, samples, parameters)), flush=True)


def line(name, what, samples, parameters):
    taken, computed = zip(*samples)
    low, median, high = statistics.quantiles(taken, n=4)
    return dict(
        engine=f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads",
        network=name,
        what=what,
        milliseconds=round(median * 1e3, 3),
        minimum=round(min(taken) * 1e3, 3),
        spread=round((high - low) / 2 / median, 4),
        processor=round(statistics.median(computed) * 1e3, 3),
        samples=len(taken),
        parameters=parameters,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help=f"of {', '.join(NETWORKS)}; all if left out")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=10, help="how long a network is measured")
    arguments = parser.parse_args()
    unknown = set(arguments.networks) - set(NETWORKS)
    if unknown:
        parser.error(f"no network {', '.join(sorted(unknown))}")
    torch.set_num_threads(arguments.threads)
    for name in arguments.networks or NETWORKS:
        measure(name, arguments.seconds)


if __name__ == "__main__":
    main()
