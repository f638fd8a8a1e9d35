#!/usr/bin/env python3
"""Spoken digits: spoken_digits.py WHOLE SMALL. Sequences of digits, spoken by espeak-ng in many voices, as the features of a speech recognizer.

A voice is an accent and a variant. The held-out part is spoken by variants that never speak in the other, some of them in an accent that never
does: these voices are unheard.
"""

import io
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import files

WORDS = "zero one two three four five six seven eight nine".split()
ACCENTS = ["en-gb", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-029", "en-us-nyc"]
HELD_OUT_ACCENT = "en-gb-x-gbcwmd"
VARIANTS = """m1 m2 m3 m4 m5 m6 m8 f1 f2 f3 f5 Alex Alicia Andrea Andy Annie Denis Diogo Gene Hugo Lee Marco Mario Michael Mike adam belinda benjamin
boris david ed edward john linda max michel paul rob robert steph travis victor""".split()
HELD_OUT_VARIANTS = ["m7", "f4", "Jacky", "anika", "caleb", "quincy"]
# How many sequences of how many digits at most, and how many frames at most: short ones, so that a small file holds some.
WHOLE = {"train": (3000, 5, 1000), "held_out": (300, 5, 1000)}
SMALL = {"train": (300, 2, 96), "held_out": (60, 2, 96)}

RATE, WINDOW, HOP, SPECTRUM, BANDS, LOWEST = 8000, 200, 80, 256, 32, 60.0
# What a step of a stored byte is worth; the bytes lie around 128.
STEP = 1 / 32
RECIPE = """Speech at 8 kHz (by a discrete Fourier transform of the whole), silence at both ends cut to 50 ms, and white noise 50 dB below its greatest
sample. Windows of 25 ms (200 samples, Hann) every 10 ms; the power spectrum of 256 points; 32 triangles spaced evenly in mel (2595 log10(1 + f / 700))
between 60 and 4000 Hz; the natural logarithm of 1e-6 of the greatest energy plus the energy; of each band the mean over the sequence is taken away, and
all are divided by the deviation over the whole sequence. Stored is x * 32 + 128, rounded and clamped to a byte."""


def spoken(text, voice, speed, pitch, gap):
    """Samples at RATE."""
    command = ["espeak-ng", "-v", voice, "-s", str(speed), "-p", str(pitch), "-g", str(gap), "--stdout", text]
    sound = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(sound)) as speech:
        rate, data = speech.getframerate(), speech.readframes(speech.getnframes())
    samples = np.frombuffer(data[: len(data) // 2 * 2], "<i2") / 32768
    spectrum = np.fft.rfft(samples)
    length = len(samples) * RATE // rate
    return np.fft.irfft(spectrum[: length // 2 + 1], length) * (length / len(samples))


def trimmed(samples):
    loud = np.flatnonzero(np.abs(samples) > 0.02 * np.abs(samples).max())
    return samples[max(0, loud[0] - RATE // 20) : loud[-1] + RATE // 20]


def filters():
    mel = lambda hertz: 2595 * np.log10(1 + hertz / 700)
    hertz = 700 * (10 ** (np.linspace(mel(LOWEST), mel(RATE / 2), BANDS + 2) / 2595) - 1)
    lines = np.arange(SPECTRUM // 2 + 1) * RATE / SPECTRUM
    rising = (lines - hertz[:-2, None]) / (hertz[1:-1] - hertz[:-2])[:, None]
    falling = (hertz[2:, None] - lines) / (hertz[2:] - hertz[1:-1])[:, None]
    return np.maximum(0, np.minimum(rising, falling))


def features(samples, random):
    """Bytes, [time, bands]."""
    samples = trimmed(samples)
    samples = samples + 10 ** (-50 / 20) * np.abs(samples).max() * random.standard_normal(len(samples))
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hanning(WINDOW)
    energy = (np.abs(np.fft.rfft(windows, SPECTRUM)) ** 2) @ filters().T
    logarithm = np.log(energy + 1e-6 * energy.max())
    logarithm -= logarithm.mean(axis=0)
    return np.clip(np.rint(logarithm / logarithm.std() / STEP) + 128, 0, 255).astype(np.uint8)


def sequences(part, count, most, longest, seed):
    """Features, digits and voices of so many sequences of up to so many digits, but those of more frames."""
    random = np.random.Generator(np.random.PCG64(seed))
    orders = []
    for number in range(count):
        variants, accents = (VARIANTS, ACCENTS) if part == "train" else (HELD_OUT_VARIANTS, ACCENTS + [HELD_OUT_ACCENT] * 3)
        voice = accents[random.integers(len(accents))] + "+" + variants[random.integers(len(variants))]
        digits = random.integers(10, size=1 + number % most)
        speed, pitch, gap = random.integers(120, 211), random.integers(25, 76), random.integers(0, 8)
        orders.append((digits, voice, speed, pitch, gap, np.random.Generator(np.random.PCG64([seed, number]))))

    def made(order):
        digits, voice, speed, pitch, gap, random = order
        return features(spoken(" ".join(WORDS[digit] for digit in digits), voice, speed, pitch, gap), random)

    with ThreadPoolExecutor(2) as pool:
        found = zip(pool.map(made, orders), orders)
        return [(frames, digits, voice) for frames, (digits, voice, *_) in found if len(frames) <= longest]


def main():
    whole, small = map(Path, sys.argv[1:])
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout.split("Data")[0].strip()
    metadata = {
        "source": f"spoken by {version}",
        "about": "features: log-mel energies. target: digit + 1, where 0 is the blank. The held-out voices are unheard.",
        "recipe": " ".join(RECIPE.split()),
        "scale": str(STEP),
        "offset": str(-128 * STEP),
        "vocabulary": ["<blank>"] + WORDS,
    }
    heard = set()
    for seed, part in enumerate(WHOLE):
        for folder, sizes, seed in ((whole, WHOLE[part], seed), (small, SMALL[part], seed + 10)):
            found, digits, voices = zip(*sequences(part, *sizes, seed))
            stored, feature_lengths = files.padded(found)
            target, target_lengths = files.padded([row + 1 for row in digits])
            tensors = {
                "features": stored,
                "features_lengths": feature_lengths.astype(np.uint16),
                "target": target,
                "target_lengths": target_lengths,
            }
            files.write(folder / f"{part}.safetensors", tensors, metadata)
            print(f"  {len(set(voices))} voices; of each digit: {np.bincount(np.concatenate(digits), minlength=10).tolist()}")
            shortest = min(len(row) / len(said) for row, said in zip(found, digits))
            print(f"  frames: mean {feature_lengths.mean():.0f}, for a digit at least {shortest:.0f}")
            if part == "train":
                heard |= {name for voice in voices for name in [voice, voice.split("+")[1]]}
            elif heard & {name for voice in voices for name in [voice, voice.split("+")[1]]}:
                sys.exit("a held-out voice was heard")


main()
