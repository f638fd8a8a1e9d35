#!/usr/bin/env python3
"""Writes streams for tests/silero.rs: make.py WHEEL FOLDER (scripts/fetch-silero calls it).

Each stream is a folder in the ONNX test layout, FOLDER/MODEL/STREAM. Data set K is chunk K: its inputs hold the state that ONNX Runtime
left after chunk K - 1, its outputs what ONNX Runtime makes of it. Needs the packages numpy, onnx and onnxruntime.
"""

import shutil
import subprocess
import sys
import tempfile
import wave
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
from onnx import numpy_helper

CHUNKS = 100
# Samples of a chunk, and how many of those before it the network also reads.
RATES = {16000: (512, 64), 8000: (256, 32)}
# Frames of a block that the sequence model takes; the last block of a stream is shorter.
BLOCK = 8
TEXT = "The quick brown fox jumps over the lazy dog. Pack my box with five dozen liquor jugs."


def resampled(samples, rate, wanted):
    spectrum = np.fft.rfft(samples)
    length = len(samples) * wanted // rate
    spectrum = np.pad(spectrum, (0, max(0, length // 2 + 1 - len(spectrum))))[: length // 2 + 1]
    return np.fft.irfft(spectrum, length) * (length / len(samples))


def spoken(rate):
    """A synthesized voice with a little noise, or nothing where no synthesizer is installed."""
    if shutil.which("espeak-ng") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "speech.wav"
        subprocess.run(["espeak-ng", "-v", "en", "-s", "170", "-w", str(file), TEXT], check=True)
        with wave.open(str(file)) as speech:
            own, data = speech.getframerate(), speech.readframes(speech.getnframes())
    samples = np.frombuffer(data, "<i2") / 32768
    silence = np.zeros(own // 4)
    samples = resampled(np.concatenate([silence, samples, silence]), own, rate)
    return samples + 1e-3 * np.random.default_rng(1).standard_normal(len(samples))


def synthetic(rate):
    """Syllables of gliding pitch under wandering formants, with pauses and noise."""
    random = np.random.default_rng(0)
    time = np.arange(CHUNKS * RATES[rate][0]) / rate
    pitch = 120 + 25 * np.sin(2 * np.pi * 0.7 * time) + 8 * np.sin(2 * np.pi * 5.1 * time)
    phase = 2 * np.pi * np.cumsum(pitch) / rate
    formants = [(500 + 250 * np.sin(2 * np.pi * 1.3 * time), 1.0), (1500 + 500 * np.sin(2 * np.pi * 0.9 * time + 1), 0.5)]
    voice = np.zeros(len(time))
    for harmonic in range(1, int(rate / 2 / 153)):
        height = sum(gain * np.exp(-(((harmonic * pitch - formant) / 180) ** 2)) for formant, gain in formants)
        voice += height * np.sin(harmonic * phase)
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * time), 0, None) ** 0.5
    phrases = (np.sin(2 * np.pi * 0.55 * time + 0.5) > -0.3).astype(float)
    return 0.1 * voice * syllables * phrases + 2e-3 * random.standard_normal(len(time))


def frames(samples, rate):
    """Chunks of one stream, each behind the end of the one before: [chunk, samples]."""
    length, context = RATES[rate]
    samples = np.pad(samples, (context, max(0, CHUNKS * length - len(samples)))).astype(np.float32)
    return np.stack([samples[k * length : k * length + context + length] for k in range(CHUNKS)])


def write(model, stream, inputs_of_chunks, state):
    """One stream: the state is carried from each chunk to the next, {input: (output, value)}."""
    folder = model.parent / stream
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(model, folder / "model.onnx")
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    held = {name: value for name, (_, value) in state.items()}
    for chunk, given in enumerate(inputs_of_chunks):
        data = folder / f"test_data_set_{chunk}"
        data.mkdir(exist_ok=True)
        given = {**given, **held}
        found = dict(zip(outputs, session.run(outputs, given)))
        for kind, names, values in [("input", inputs, given), ("output", outputs, found)]:
            for k, name in enumerate(names):
                (data / f"{kind}_{k}.pb").write_bytes(numpy_helper.from_array(np.asarray(values[name]), name).SerializeToString())
        held = {name: found[output] for name, (output, _) in state.items()}
    print(f"{folder}: {chunk + 1} chunks")


def zeros(*shape):
    return np.zeros(shape, np.float32)


wheel, folder = Path(sys.argv[1]), Path(sys.argv[2])
models = {}
for name in ["silero_vad", "silero_vad_16k_sequence"]:
    models[name] = folder / name / "model.onnx"
    shutil.rmtree(folder / name, ignore_errors=True)
    models[name].parent.mkdir(parents=True)
    models[name].write_bytes(zipfile.ZipFile(wheel).read(f"silero_vad/data/{name}.onnx"))

voices = {"speech": spoken, "synthetic": synthetic}
for rate in RATES:
    streams = {name: frames(samples, rate) for name, voice in voices.items() if (samples := voice(rate)) is not None}
    # Both at once, as a batch.
    batches = {name: stream[:, None] for name, stream in streams.items()} | {"batch": np.stack(list(streams.values()), 1)}
    for name, stream in batches.items():
        chunks = [{"input": chunk, "sr": np.array(rate, np.int64)} for chunk in stream]
        write(models["silero_vad"], f"{rate}_{name}", chunks, {"state": ("stateN", zeros(2, stream.shape[1], 128))})
    if rate == 16000:
        for name, stream in streams.items():
            for size in [1, BLOCK]:
                blocks = [{"input": stream[at : at + size]} for at in range(0, CHUNKS, size)]
                state = {"h": ("hn", zeros(1, 1, 128)), "c": ("cn", zeros(1, 1, 128))}
                write(models["silero_vad_16k_sequence"], f"{name}_{size}", blocks, state)
