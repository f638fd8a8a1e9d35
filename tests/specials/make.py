"""Writes values.txt: every function of the scalar tables at special values, by numpy and the C library in double precision.

    python3 make.py            (numpy 2; nothing else)

The first line lists the values; each further line holds a function, its parameters, and its results as bit patterns: for each value,
or for each pair of values with the first argument outermost. `-` stands for a result that is not compared. Bools are 0 and 1.
"""

import math
import pathlib

import numpy as np

INF, NAN = math.inf, math.nan
LEAST, MOST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
VALUES = [NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, 3.0, -3.0, 2.5, -2.5, 1e-3, -1e-3, 100.0, -101.0,
          16777215.0, MOST, -MOST, LEAST, -LEAST]
X = np.array([np.float32(v) for v in VALUES], np.float64)

np.seterr(all="ignore")


def bits(y):
    return " ".join(f"{b:08x}" for b in np.asarray(y, np.float64).astype(np.float32).view(np.uint32).ravel())


def truth(y):
    return np.asarray(y).astype(np.float64)


each = lambda f: np.vectorize(f, otypes=[np.float64])
erf = each(math.erf)
sigmoid = lambda x: 1 / (1 + np.exp(-x))
softplus = lambda x: np.where(x > 0, x, 0.0) + np.log1p(np.exp(-np.abs(x)))
clip = lambda x, low, high: np.where(np.isnan(x), x, least(greatest(x, low), high))


def least(a, b):
    """IEEE 754-2019 minimum: NaN where either is, and -0 below 0."""
    a, b = np.broadcast_arrays(a, b)
    smaller = np.where((a == b) & np.signbit(a), a, np.where(a < b, a, b))
    return np.where(np.isnan(a) | np.isnan(b), NAN, smaller)


def greatest(a, b):
    return -least(-np.asarray(a), -np.asarray(b))


def narrowed(x, dtype):
    return np.asarray(x, np.float32).astype(dtype).astype(np.float64)


def brain(x):
    """To 8 bits of mantissa, ties to even."""
    b = np.asarray(x, np.float32).view(np.uint32).astype(np.uint64)
    rounded = ((b + 0x7FFF + ((b >> 16) & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)
    return np.where(np.isnan(x), x, rounded)


ONE = {
    "Abs": np.abs,
    "Neg": np.negative,
    "Sign": lambda x: np.where(x > 0, 1.0, np.where(x < 0, -1.0, np.where(x == 0, 0.0, x))),
    "Ceil": np.ceil,
    "Floor": np.floor,
    "Round": np.rint,
    "Identity": lambda x: x,
    "Sqrt": np.sqrt,
    "Rsqrt": lambda x: 1 / np.sqrt(x),
    "Reciprocal": lambda x: 1 / x,
    "Exp": np.exp,
    "Log": np.log,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Tanh": np.tanh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Erf": erf,
    "Relu": lambda x: np.where(x <= 0, 0.0, x),
    "Sigmoid": sigmoid,
    "HardSwish": lambda x: x * clip(x / 6 + 0.5, 0.0, 1.0),
    "Gelu": lambda x: 0.5 * x * (1 + erf(x / math.sqrt(2))),
    "GeluTanh": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "Mish": lambda x: x * np.tanh(softplus(x)),
    "Softplus": softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "IsNaN": lambda x: truth(np.isnan(x)),
}
WITH_PARAMETERS = [
    ("LeakyRelu", [0.01], lambda x, a: np.where(x < 0, a * x, x)),
    # A NaN stays one; the specification's `x > alpha` alone would make it 0.
    ("ThresholdedRelu", [1.0], lambda x, a: np.where(np.isnan(x), x, np.where(x > a, x, 0.0))),
    ("ThresholdedRelu", [-1.0], lambda x, a: np.where(np.isnan(x), x, np.where(x > a, x, 0.0))),
    ("Elu", [1.0], lambda x, a: np.where(x < 0, a * np.expm1(x), x)),
    ("Celu", [2.0], lambda x, a: np.where(x < 0, a * np.expm1(x / a), x)),
    ("Selu", [1.6732632, 1.050701], lambda x, a, g: g * np.where(x < 0, a * np.expm1(x), x)),
    ("HardSigmoid", [0.2, 0.5], lambda x, a, b: clip(a * x + b, 0.0, 1.0)),
    ("HardSigmoid", [0.0, 0.5], lambda x, a, b: clip(a * x + b, 0.0, 1.0)),
    ("Swish", [1.0], lambda x, a: x * sigmoid(a * x)),
    ("Swish", [-1.5], lambda x, a: x * sigmoid(a * x)),
    ("Shrink", [0.0, 0.5], lambda x, b, l: np.where(x < -l, x + b, np.where(x > l, x - b, 0.0))),
    ("Shrink", [INF, 1.0], lambda x, b, l: np.where(x < -l, x + b, np.where(x > l, x - b, 0.0))),
    ("Clip", [-1.0, 2.0], clip),
    ("Clip", [0.0, INF], clip),
    ("Clip", [-INF, -0.0], clip),
    ("Clip", [2.0, 1.0], clip),
    ("Clip", [NAN, 1.0], clip),
    ("Clip", [-1.0, NAN], clip),
    ("IsInf", [1.0, 1.0], lambda x, n, p: truth(np.isinf(x))),
    ("IsInf", [1.0, 0.0], lambda x, n, p: truth(x == -INF)),
    ("IsInf", [0.0, 1.0], lambda x, n, p: truth(x == INF)),
]
TWO = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Mod": lambda a, b: np.mod(a.astype(np.float32), b.astype(np.float32)),
    "Fmod": lambda a, b: np.fmod(a.astype(np.float32), b.astype(np.float32)),
    "Pow": np.power,
    "Min": least,
    "Max": greatest,
    "PRelu": lambda a, b: np.where(a < 0, a * b, a),
    "Equal": lambda a, b: truth(a == b),
    "Less": lambda a, b: truth(a < b),
    "LessOrEqual": lambda a, b: truth(a <= b),
    "Greater": lambda a, b: truth(a > b),
    "GreaterOrEqual": lambda a, b: truth(a >= b),
}
CASTS = {
    "Cast_f16": lambda x: narrowed(x, np.float16),
    "Cast_bf16": brain,
    "Cast_bool": lambda x: truth(x != 0),
}

lines = ["values : " + bits(X)]
for name, f in ONE.items():
    results = bits(f(X)).split()
    if name in ("Sin", "Cos", "Tan"):
        # Where an argument is known to less than a turn the kernels reduce it by too few digits.
        results = ["-" if abs(x) > 1e4 and math.isfinite(x) else y for x, y in zip(X, results)]
    lines.append(f"{name} : " + " ".join(results))
for name, parameters, f in WITH_PARAMETERS:
    exact = [float(np.float32(p)) for p in parameters]
    lines.append(f"{name} {bits(exact)} : " + bits(f(X, *exact)))
for name, f in TWO.items():
    lines.append(f"{name} : " + bits(f(X[:, None], X[None, :])))
for name, f in CASTS.items():
    lines.append(f"{name} : " + bits(f(X)))
pathlib.Path(__file__).with_name("values.txt").write_text("\n".join(lines) + "\n")
