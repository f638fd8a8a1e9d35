#!/usr/bin/env python3
"""Writes references.safetensors beside itself: what small networks of gristmill::models predict in PyTorch, in double precision.

Needs torch, numpy and safetensors. For each network (seq2seq, gpt, tied, speech, stacked, convolved) there are its parameters
(NETWORK.init.NAME, exact in float32), its inputs (NETWORK.in.NAME), what it predicts (NETWORK.out.NAME), its loss (NETWORK.loss) and the
gradients of the loss (NETWORK.grad.NAME).
"""

import os

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

FOUND = {}


class Half(nn.Module):
    """An embedding and a GRU, and a fully connected layer in the decoder."""

    def __init__(self, vocabulary, width, hidden, out):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.rnn = nn.GRU(width, hidden, 2, batch_first=True)
        if out:
            self.out = nn.Linear(hidden, vocabulary)


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Half(9, 6, 7, False), Half(11, 6, 7, True)

    def forward(self, source, source_lengths, decoder_input):
        packed = pack_padded_sequence(self.encoder.embedding(source), source_lengths, batch_first=True, enforce_sorted=False)
        state = self.encoder.rnn(packed)[1]
        states = self.decoder.rnn(self.decoder.embedding(decoder_input), state)[0]
        return dict(logits=self.decoder.out(states))

    def greedy(self, source, source_lengths, most, start=1, end=2):
        packed = pack_padded_sequence(self.encoder.embedding(source), source_lengths, batch_first=True, enforce_sorted=False)
        state = self.encoder.rnn(packed)[1]
        token, tokens = torch.full((len(source),), start), []
        ended = torch.zeros(len(source), dtype=torch.bool)
        for _ in range(most):
            states, state = self.decoder.rnn(self.decoder.embedding(token)[:, None], state)
            token = self.decoder.out(states)[:, 0].argmax(-1)
            token = torch.where(ended, end, token)
            ended |= token == end
            tokens.append(token)
        return torch.stack(tokens, 1)


class Block(nn.Module):
    """Written from the paper, under the names that nanoGPT uses."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = nn.ModuleDict(dict(c_attn=nn.Linear(width, 3 * width), c_proj=nn.Linear(width, width)))
        self.mlp = nn.ModuleDict(dict(c_fc=nn.Linear(width, 4 * width), c_proj=nn.Linear(4 * width, width)))

    def forward(self, x):
        batch, length, width = x.shape
        parts = self.attn["c_attn"](self.ln_1(x)).chunk(3, -1)
        q, k, v = (part.view(batch, length, self.heads, -1).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, width)
        x = x + self.attn["c_proj"](seen)
        return x + self.mlp["c_proj"](F.gelu(self.mlp["c_fc"](self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, tied):
        super().__init__()
        self.transformer = nn.ModuleDict(dict(
            wte=nn.Embedding(13, 8), wpe=nn.Embedding(10, 8), h=nn.ModuleList(Block(8, 2) for _ in range(2)), ln_f=nn.LayerNorm(8)))
        self.lm_head = None if tied else nn.Linear(8, 13, bias=False)

    def forward(self, tokens):
        x = self.transformer["wte"](tokens) + self.transformer["wpe"](torch.arange(tokens.shape[1]))
        for block in self.transformer["h"]:
            x = block(x)
        x = self.transformer["ln_f"](x)
        return dict(logits=x @ self.transformer["wte"].weight.T if self.lm_head is None else self.lm_head(x))


class Speech(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.gru = nn.GRU(dict(plain=5, stacked=15, convolved=6)[kind], 4, 2, bidirectional=True)
        self.fc = nn.Linear(8, 7)
        if kind == "convolved":
            self.subsample = nn.Conv1d(5, 6, 3, stride=2, padding=1)

    def forward(self, features, feature_lengths):
        lengths, time = feature_lengths, features.shape[1]
        if self.kind == "stacked":
            features = F.pad(features, (0, 0, 0, -time % 3)).reshape(len(features), -1, 15)
            lengths = (lengths + 2) // 3
        elif self.kind == "convolved":
            features = F.relu(self.subsample(features.transpose(1, 2))).transpose(1, 2)
            lengths = (lengths + 1) // 2
        packed = pack_padded_sequence(features.transpose(0, 1), lengths, enforce_sorted=False)
        states = pad_packed_sequence(self.gru(packed)[0], total_length=features.shape[1])[0]
        logits = self.fc(states)
        return dict(logits=logits, log_probabilities=logits.log_softmax(-1), frame_lengths=lengths)


def note(name, model, inputs, loss):
    """Keeps what a network predicts, its loss and gradients."""
    # The rows of PyTorch's defaults are too alike for a decoder to say much.
    for parameter in model.parameters():
        parameter.data.mul_(2.0)
    model = model.float().double()
    inputs = {k: v.double() if v.is_floating_point() else v for k, v in inputs.items()}
    outputs = model(**inputs)
    value = loss(outputs)
    value.backward()
    FOUND[f"{name}.loss"] = value
    for key, parameter in model.named_parameters():
        FOUND[f"{name}.init.{key}"] = parameter.float()
        FOUND[f"{name}.grad.{key}"] = parameter.grad.float()
    for kind, tensors in [("in", inputs), ("out", outputs)]:
        for key, tensor in tensors.items():
            FOUND[f"{name}.{kind}.{key}"] = tensor.float() if tensor.is_floating_point() else tensor
    return model


def main():
    torch.manual_seed(5)
    source, lengths = torch.randint(0, 9, (3, 5)), torch.tensor([5, 2, 4])
    told, target = torch.randint(0, 11, (3, 6)), torch.randint(0, 11, (3, 6))
    target[1, 4:] = -100
    FOUND["seq2seq.target"] = target
    inputs = dict(source=source, source_lengths=lengths, decoder_input=told)
    entropy = lambda outputs: F.cross_entropy(outputs["logits"].flatten(0, 1), target.flatten(), label_smoothing=0.1)
    model = note("seq2seq", Seq2Seq(), inputs, entropy)
    FOUND["seq2seq.greedy"] = model.greedy(source, lengths, 8)
    FOUND["seq2seq.ended"] = model.greedy(source, lengths, 8, end=1)
    tokens, follow = torch.randint(0, 13, (2, 9)), torch.randint(0, 13, (2, 9))
    for name in ["gpt", "tied"]:
        FOUND[f"{name}.target"] = follow
        loss = lambda outputs: F.cross_entropy(outputs["logits"].flatten(0, 1), follow.flatten())
        note(name, Gpt(name == "tied"), dict(tokens=tokens), loss)
    for name, kind in [("speech", "plain"), ("stacked", "stacked"), ("convolved", "convolved")]:
        lengths = torch.tensor([19, 10, 14])
        labels, counts = torch.randint(1, 7, (3, 3)), torch.tensor([3, 1, 2])
        FOUND[f"{name}.target"], FOUND[f"{name}.target_lengths"] = labels, counts
        loss = lambda outputs: F.ctc_loss(outputs["log_probabilities"], labels, outputs["frame_lengths"], counts)
        note(name, Speech(kind), dict(features=torch.randn(3, 19, 5).float(), feature_lengths=lengths), loss)
    tensors = {key: tensor.detach().contiguous().clone() for key, tensor in FOUND.items()}
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "references.safetensors")
    save_file(tensors, path)
    os.chmod(path, 0o644)
    print(tensors["seq2seq.greedy"], {key: float(tensor) for key, tensor in tensors.items() if key.endswith("loss")})


main()
