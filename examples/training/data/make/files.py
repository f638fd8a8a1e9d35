"""Safetensors files, written so that equal contents give equal bytes."""

import json
import struct

import numpy as np

DTYPES = {"uint8": "U8", "uint16": "U16", "int64": "I64", "float16": "F16", "float32": "F32"}


def write(path, tensors, metadata):
    """Tensors by their names, whose first axis counts examples (or tokens), beside texts; what is no text is written as JSON."""
    texts = {name: text if isinstance(text, str) else json.dumps(text) for name, text in metadata.items()}
    # Wider elements come first, so that all are aligned.
    order = sorted(tensors, key=lambda name: -tensors[name].dtype.itemsize)
    header, end = {"__metadata__": texts}, 0
    for name in order:
        array = tensors[name]
        header[name] = {"dtype": DTYPES[str(array.dtype)], "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(np.ascontiguousarray(tensors[name]).tobytes())
    print(f"{path}: " + ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in tensors.items()))


def padded(sequences, dtype=np.uint8):
    """Sequences side by side, with zeros behind the shorter ones, and their lengths."""
    lengths = np.array([len(sequence) for sequence in sequences])
    whole = np.zeros((len(sequences), lengths.max()) + np.shape(sequences[0])[1:], dtype)
    for row, sequence in zip(whole, sequences):
        row[: len(sequence)] = sequence
    return whole, lengths.astype(np.uint8 if lengths.max() < 256 else np.uint16)
