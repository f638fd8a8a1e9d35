"""Writes the folders beside it: small models about what an importer decides, with what numpy computes for them.

    python3 make.py            (numpy and onnx; the numbers here are of numpy 2.4 and onnx 1.23)
"""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def info(name, array, dims=None):
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape if dims is None else dims)


def save(name, nodes, inputs, constants, sets, ir_version=10):
    """Inputs are value infos; each data set is a pair of named inputs and named outputs."""
    folder = os.path.join(HERE, name)
    os.makedirs(folder, exist_ok=True)
    outputs = [info(key, array) for key, array in sets[0][1].items()]
    for value in outputs:
        value.type.tensor_type.ClearField("shape")
    initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=ir_version)
    onnx.save(model, os.path.join(folder, "model.onnx"))
    for number, tensors in enumerate(sets):
        data = os.path.join(folder, f"test_data_set_{number}")
        os.makedirs(data, exist_ok=True)
        for prefix, arrays in zip(("input", "output"), tensors):
            for index, (key, array) in enumerate(arrays.items()):
                with open(os.path.join(data, f"{prefix}_{index}.pb"), "wb") as file:
                    file.write(numpy_helper.from_array(array, key).SerializeToString())


def branch(name, nodes, outputs, constants=()):
    values = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
    return helper.make_graph(nodes, name, [], values, [numpy_helper.from_array(array, key) for key, array in dict(constants).items()])


node = helper.make_node
rng = np.random.default_rng(7)
floats = lambda *shape: rng.standard_normal(shape).astype(np.float32)

# --- If -------------------------------------------------------------------------------------------------------------------
# Squeezed where an extent is 1, as exporters write it: the branch that is not taken would be wrong.
x, wide = floats(2, 1, 3), floats(2, 4, 3)
nodes = [
    node("Shape", ["x"], ["s"]),
    node("Gather", ["s", "one"], ["g"]),
    node("Equal", ["g", "one"], ["c"]),
    node(
        "If",
        ["c"],
        ["y"],
        then_branch=branch("t", [node("Squeeze", ["x", "axis"], ["ty"])], ["ty"]),
        else_branch=branch("e", [node("Identity", ["x"], ["ey"])], ["ey"]),
    ),
]
constants = {"one": np.array(1, np.int64), "axis": np.array([1], np.int64)}
save("if_shape", nodes, [info("x", x, ["a", "b", "c"])], constants, [({"x": x}, {"y": x[:, 0]}), ({"x": wide}, {"y": wide})])

# The condition is data; branches have constants of their own, read a value of the graph around them and make two outputs, one of
# which is an input as it is.
x = floats(5)
nodes = [
    node("ReduceSum", ["x"], ["sum"], keepdims=0),
    node("Greater", ["sum", "zero"], ["c"]),
    node("Mul", ["x", "x"], ["square"]),
    node(
        "If",
        ["c"],
        ["y", "z"],
        then_branch=branch("t", [node("Add", ["square", "ten"], ["ty"])], ["ty", "x"], {"ten": np.array([10.0], np.float32)}),
        else_branch=branch("e", [node("Sub", ["square", "ten"], ["ey"]), node("Neg", ["x"], ["ez"])], ["ey", "ez"], {"ten": np.array([20.0], np.float32)}),
    ),
    node("Add", ["y", "z"], ["w"]),
]
up, down = np.abs(x), -np.abs(x)
sets = [({"x": up}, {"y": up * up + 10, "w": up * up + 10 + up}), ({"x": down}, {"y": down * down - 20, "w": down * down - 20 - down})]
save("if_data", nodes, [info("x", x)], {"zero": np.array(0.0, np.float32)}, sets)

# A condition that is an input of the run, and an If within a branch that reads through both graphs around it.
inner = node(
    "If",
    ["second"],
    ["iy"],
    then_branch=branch("it", [node("Mul", ["h", "k"], ["ity"])], ["ity"]),
    else_branch=branch("ie", [node("Add", ["h", "x"], ["iey"])], ["iey"]),
)
nodes = [
    node("Exp", ["x"], ["h"]),
    node(
        "If",
        ["first"],
        ["y"],
        then_branch=branch("t", [inner], ["iy"]),
        else_branch=branch("e", [node("Neg", ["h"], ["ey"])], ["ey"]),
    ),
]
x = floats(2, 3)
h, k = np.exp(x), np.array(3.0, np.float32)
bools = [info("first", np.array(True)), info("second", np.array(True))]
sets = [
    ({"x": x, "first": np.array(a), "second": np.array(b)}, {"y": (h * k if b else h + x) if a else -h})
    for a in (True, False)
    for b in (True, False)
]
save("if_nested", nodes, [info("x", x)] + bools, {"k": k}, sets)

# A shape inside a branch that depends on an input's contents, by way of a computation there.
inner = [node("Mul", ["n", "two"], ["m"]), node("Expand", ["x", "m"], ["ty"])]
nodes = [
    node("ReduceSum", ["x"], ["sum"], keepdims=0),
    node("Greater", ["sum", "zero"], ["c"]),
    node(
        "If",
        ["c"],
        ["y"],
        then_branch=branch("t", inner, ["ty"], {"two": np.array(2, np.int64)}),
        else_branch=branch("e", [node("Neg", ["x"], ["ey"])], ["ey"]),
    ),
]
x, n = np.array([[1.5], [2.0]], np.float32), np.array([1, 3], np.int64)
sets = [({"x": x, "n": n}, {"y": np.repeat(x, 6, 1)}), ({"x": -x, "n": n}, {"y": x}), ({"x": x, "n": np.array([1, 2], np.int64)}, {"y": np.repeat(x, 4, 1)})]
save("if_shape_from_data", nodes, [info("x", x), info("n", n)], {"zero": np.array(0.0, np.float32)}, sets)

# --- defaults -------------------------------------------------------------------------------------------------------------
x, w, other = floats(3), floats(3), floats(3)
nodes = [node("Mul", ["x", "w"], ["y"])]
save("default", nodes, [info("w", w), info("x", x)], {"w": w}, [({"x": x}, {"y": x * w}), ({"w": other, "x": x}, {"y": x * other}), ({"x": x}, {"y": x * w})])
# Shapes depend on it, and a run gives one of another length.
x, shape = floats(2, 6), np.array([3, 4], np.int64)
nodes = [node("Reshape", ["x", "shape"], ["y"])]
sets = [({"x": x}, {"y": x.reshape(3, 4)}), ({"x": x, "shape": np.array([2, 2, 3], np.int64)}, {"y": x.reshape(2, 2, 3)})]
save("default_shape", nodes, [info("x", x), info("shape", shape, ["rank"])], {"shape": shape}, sets)
# A branch reads it.
nodes = [
    node(
        "If",
        ["c"],
        ["y"],
        then_branch=branch("t", [node("Add", ["x", "w"], ["ty"])], ["ty"]),
        else_branch=branch("e", [node("Sub", ["x", "w"], ["ey"])], ["ey"]),
    )
]
x = floats(4)
w, other, yes, no = floats(4), floats(4), np.array(True), np.array(False)
sets = [
    ({"x": x, "c": yes}, {"y": x + w}),
    ({"x": x, "c": no, "w": other}, {"y": x - other}),
    ({"x": x, "c": no}, {"y": x - w}),
]
save("default_in_branch", nodes, [info("x", x), info("c", yes), info("w", w)], {"w": w}, sets)
# Older files list every initializer.
x = floats(3)
save("listed_initializer", [node("Mul", ["x", "w"], ["y"])], [info("x", x), info("w", w[:3])], {"w": w[:3]}, [({"x": x}, {"y": x * w[:3]})], ir_version=3)

# --- quantization ---------------------------------------------------------------------------------------------------------
x = np.array([0, 1, -1, 0.25, 0.75, 3.3, 1000, -1000, 1e6, -1e6, 16383.75, 16384, -16384, 32767.4, np.inf, -np.inf], np.float32)
for dtype in (np.int16, np.uint16, np.int8, np.uint8):
    limits, name = np.iinfo(dtype), np.dtype(dtype).name
    scale, zero = np.float32(0.5), np.array(limits.max // 3, dtype)
    q = np.clip(np.rint(x / scale) + np.float32(zero), limits.min, limits.max).astype(dtype)
    d = (q.astype(np.float32) - np.float32(zero)) * scale
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["d"])]
    save(f"quantize_{name}", nodes, [info("x", x)], {"s": np.array(scale), "z": zero}, [({"x": x}, {"q": q, "d": d})])
# The type is an attribute's; scales along an axis come from a computation whose rank no file declares.
limits, m = np.iinfo(np.uint16), x.reshape(4, 4)
scales = np.array([0.5, 2.0, 1e-3, 100], np.float32)
q = np.clip(np.rint(m / scales[:, None]), 0, limits.max).astype(np.uint16)
nodes = [node("Add", ["s", "zero"], ["t"]), node("QuantizeLinear", ["x", "t"], ["q"], axis=0, output_dtype=TensorProto.UINT16)]
save("quantize_computed_scales", nodes, [info("x", m), info("s", scales)], {"zero": np.array(0.0, np.float32)}, [({"x": m, "s": scales}, {"q": q})])


def integers(dtype, *shape):
    return rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max + 1, shape).astype(dtype)


for name, a_shape, b_shape, a_zero, b_zero, standing in [
    ("rows_and_columns", (3, 20), (20, 5), (3,), (5,), (3, 1)),
    ("batch", (2, 3, 7), (2, 7, 4), (2, 3, 1), (2, 1, 4), (2, 3, 1)),
    ("rows_of_a_batch", (2, 3, 7), (7, 4), (3,), (), (3, 1)),
    ("one_row", (1, 7), (7, 4), (1,), (1,), (1, 1)),
]:
    a, b, za, zb = integers(np.uint8, *a_shape), integers(np.int8, *b_shape), integers(np.uint8, *a_zero), integers(np.int8, *b_zero)
    za, zb = np.asarray(za, np.uint8), np.asarray(zb, np.int8)
    y = (a.astype(np.int32) - za.astype(np.int32).reshape(standing)) @ (b.astype(np.int32) - zb.astype(np.int32))
    nodes = [node("MatMulInteger", ["a", "b", "za", "zb"], ["y"])]
    save(f"matmul_integer_{name}", nodes, [info("a", a), info("b", b), info("zb", zb)], {"za": za}, [({"a": a, "b": b, "zb": zb}, {"y": y})])
# As dynamic quantization writes it: no file declares the rank of the zero point.
x, b = floats(4, 6), integers(np.int8, 6, 3)
low, high = np.float32(min(x.min(), 0)), np.float32(max(x.max(), 0))
scale = (high - low) / np.float32(255)
zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
q = np.clip(np.rint(x / scale) + np.float32(zero), 0, 255).astype(np.int32)
nodes = [node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]), node("MatMulInteger", ["q", "b", "z"], ["y"])]
save("matmul_integer_dynamic", nodes, [info("x", x)], {"b": b}, [({"x": x}, {"y": (q - np.int32(zero)) @ b.astype(np.int32)})])

# --- Loop and Scan --------------------------------------------------------------------------------------------------------
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def body(name, nodes, inputs, outputs, constants=()):
    """A graph within a node; inputs and outputs are pairs of name and type, or name, type and shape."""
    value = lambda name, dtype, shape=None: helper.make_tensor_value_info(name, dtype, shape)
    stored = [numpy_helper.from_array(np.asarray(array), key) for key, array in dict(constants).items()]
    return helper.make_graph(nodes, name, [value(*i) for i in inputs], [value(*o) for o in outputs], stored)


turn = [("i", INT64, []), ("going", BOOL, [])]
again = node("Identity", ["going"], ["again"])
one, none = np.array(1, np.int64), np.array(True)

# Newton's square root until it moves no more than a bound that is data: how often is not known. The number of turns comes back, and every
# estimate.
graph = body(
    "root",
    [
        node("Div", ["a", "h"], ["q"]),
        node("Add", ["h", "q"], ["s"]),
        node("Mul", ["s", "half"], ["next"]),
        node("Sub", ["next", "h"], ["d"]),
        node("Abs", ["d"], ["moved"]),
        node("ReduceMax", ["moved"], ["most"], keepdims=0),
        node("Greater", ["most", "bound"], ["again"]),
        node("Add", ["n", "one"], ["n_next"]),
        node("Identity", ["next"], ["row"]),
    ],
    [*turn, ("h", FLOAT, None), ("n", INT64, [])],
    [("again", BOOL), ("next", FLOAT), ("n_next", INT64), ("row", FLOAT)],
    {"half": np.float32(0.5), "one": one},
)
nodes = [
    node("Abs", ["x"], ["p"]),
    node("Add", ["p", "tenth"], ["a"]),
    node("Loop", ["", "true", "a", "zero"], ["root", "turns", "rows"], body=graph),
    node("Neg", ["rows"], ["y"]),
]


def newton(x, bound):
    a = np.abs(x) + np.float32(0.1)
    h, rows = a, []
    while True:
        new = ((h + a / h) * np.float32(0.5)).astype(np.float32)
        moved = np.abs(new - h).max()
        h = new
        rows.append(-h)
        if moved <= bound:
            return {"root": h, "turns": np.array(len(rows), np.int64), "y": np.stack(rows)}


sets = [({"x": x, "bound": np.float32(b)}, newton(x, np.float32(b))) for x, b in [(floats(5), 0.01), (floats(5) * 50, 0.3), (floats(5) * 9, 0.02)]]
save("loop_while", nodes, [info("x", sets[0][0]["x"]), info("bound", np.float32(0))], {"true": none, "zero": np.array(0, np.int64), "tenth": np.float32(0.1)}, sets)

# A loop within a loop; the inner one reads values of both graphs around it, and its number of turns grows with that of the outer one.
inner = body(
    "inner",
    [node("Identity", ["going2"], ["again2"]), node("Mul", ["g", "k"], ["gk"]), node("Add", ["gk", "h"], ["g_next"]), node("Add", ["g_next", "x"], ["r"])],
    [("j", INT64, []), ("going2", BOOL, []), ("g", FLOAT, None)],
    [("again2", BOOL), ("g_next", FLOAT), ("r", FLOAT)],
)
outer = body(
    "outer",
    [
        again,
        node("Add", ["i", "one"], ["times"]),
        node("Loop", ["times", "", "h"], ["inner_last", "inner_rows"], body=inner),
        node("ReduceSum", ["inner_rows", "axis"], ["summed"], keepdims=0),
        node("Add", ["inner_last", "summed"], ["h_next"]),
        node("Identity", ["summed"], ["row"]),
    ],
    [*turn, ("h", FLOAT, None)],
    [("again", BOOL), ("h_next", FLOAT), ("row", FLOAT)],
    {"one": one, "axis": np.array([0], np.int64)},
)
nodes = [node("Mul", ["x", "x"], ["k"]), node("Loop", ["n", "", "x"], ["y", "rows"], body=outer)]


def nested(x, n):
    k, h, rows = x * x, x, []
    for i in range(n):
        g, inner_rows = h, []
        for _ in range(i + 1):
            g = (g * k + h).astype(np.float32)
            inner_rows.append(g + x)
        summed = np.sum(inner_rows, axis=0).astype(np.float32)
        h = g + summed
        rows.append(summed)
    return {"y": h, "rows": np.stack(rows)}


sets = [({"x": x, "n": np.array(n, np.int64)}, nested(x, n)) for x, n in [(floats(4) * np.float32(0.3), 3), (floats(4) * np.float32(0.2), 5)]]
save("loop_nested", nodes, [info("x", sets[0][0]["x"]), info("n", one)], {}, sets)

# A branch in a loop, whose condition is new in each turn, and a loop in a branch.
flip = branch("t", [node("Sub", ["h", "x"], ["ty"])], ["ty"])
flop = branch("e", [node("Mul", ["h", "x"], ["em"]), node("Add", ["em", "x"], ["ey"])], ["ey"])
graph = body(
    "steps",
    [again, node("ReduceSum", ["h"], ["s"], keepdims=0), node("Greater", ["s", "zero"], ["c"]), node("If", ["c"], ["h_next"], then_branch=flip, else_branch=flop)],
    [*turn, ("h", FLOAT, None)],
    [("again", BOOL), ("h_next", FLOAT)],
    {"zero": np.float32(0)},
)
within = branch("t", [node("Loop", ["n", "", "x"], ["ly"], body=graph)], ["ly"])
nodes = [node("ReduceMax", ["x"], ["m"], keepdims=0), node("Less", ["m", "most"], ["small"]), node("If", ["small"], ["y"], then_branch=within, else_branch=branch("e", [node("Neg", ["x"], ["ny"])], ["ny"]))]


def steps(x, n):
    if x.max() >= 2:
        return {"y": -x}
    h = x
    for _ in range(n):
        h = (h - x if h.sum() > 0 else h * x + x).astype(np.float32)
    return {"y": h}


sets = [({"x": x, "n": np.array(n, np.int64)}, steps(x, n)) for x, n in [(floats(4) * np.float32(0.5), 7), (floats(4) + np.float32(9), 2), (floats(4) * np.float32(0.4), 30)]]
save("loop_and_if", nodes, [info("x", sets[0][0]["x"]), info("n", one)], {"most": np.float32(2)}, sets)

# A carried value that grows by a row in each turn, and a slice that the number of the turn is a bound of.
graph = body(
    "grow",
    [
        again,
        node("Unsqueeze", ["i", "axis"], ["end"]),
        node("Slice", ["x", "start", "end", "axis"], ["part"]),
        node("ReduceSum", ["part", "axis"], ["row"], keepdims=1),
        node("Concat", ["h", "row"], ["h_next"], axis=0),
    ],
    [*turn, ("h", FLOAT, None)],
    [("again", BOOL), ("h_next", FLOAT)],
    {"axis": np.array([0], np.int64), "start": np.array([0], np.int64)},
)
nodes = [node("Loop", ["n", "", "x"], ["y"], body=graph)]
sets = []
for n in (3, 19):
    x = floats(4, 3)
    rows = [x[:i].sum(axis=0, keepdims=True) for i in range(n)]
    sets.append(({"x": x, "n": np.array(n, np.int64)}, {"y": np.concatenate([x, *rows])}))
save("loop_growing", nodes, [info("x", sets[0][0]["x"]), info("n", one)], {}, sets)

# Integers that leave the bounds that are assumed of them, and booleans; rows of both.
graph = body(
    "double",
    [node("Add", ["v", "v"], ["v_next"]), node("Less", ["v_next", "limit"], ["again"]), node("Identity", ["v_next"], ["r"]), node("Not", ["f"], ["f_next"]), node("Identity", ["f"], ["fr"])],
    [*turn, ("v", INT64, []), ("f", BOOL, None)],
    [("again", BOOL), ("v_next", INT64), ("f_next", BOOL), ("r", INT64), ("fr", BOOL)],
)
nodes = [node("Loop", ["", "", "v0", "f0"], ["v", "f", "rows", "flags"], body=graph)]
sets = []
for limit in (1 << 20, 1 << 40):
    v, f, rows, flags = 3, np.array([True, False, True]), [], []
    while True:
        v += v
        rows.append(v)
        flags.append(f)
        f = ~f
        if v >= limit:
            break
    expected = {"v": np.array(v, np.int64), "f": f, "rows": np.array(rows, np.int64), "flags": np.stack(flags)}
    sets.append(({"v0": np.array(3, np.int64), "f0": np.array([True, False, True]), "limit": np.array(limit, np.int64)}, expected))
save("loop_integers", nodes, [info("v0", one), info("f0", np.ones(3, bool)), info("limit", one)], {}, sets)

# No turn: what is carried comes back, and scan outputs have no row.
graph = body(
    "rows",
    [again, node("Add", ["h", "x"], ["h_next"]), node("Concat", ["h", "x"], ["row"], axis=0)],
    [*turn, ("h", FLOAT, None)],
    [("again", BOOL), ("h_next", FLOAT), ("row", FLOAT)],
)
x = floats(3)
nodes = [node("Loop", ["n", "c", "x"], ["y", "rows"], body=graph)]
expected = [{"y": x, "rows": np.zeros((0, 6), np.float32)}, {"y": 3 * x, "rows": np.stack([np.concatenate([x, x]), np.concatenate([2 * x, x])])}]
sets = [({"x": x, "n": np.array(n, np.int64), "c": np.array(c)}, expected[k]) for n, c, k in [(0, True, 0), (4, False, 0), (2, True, 1)]]
save("loop_no_turn", nodes, [info("x", x), info("n", one), info("c", none)], {}, sets)

# Scan along axis 1, one input from its end on; one output along axis 1, the other with its rows in reverse.
graph = body(
    "scan",
    [node("Mul", ["h", "a"], ["m"]), node("Add", ["m", "b"], ["h_next"]), node("Identity", ["h_next"], ["r"]), node("ReduceSum", ["h_next"], ["s"], keepdims=0)],
    [("h", FLOAT, None), ("a", FLOAT, None), ("b", FLOAT, None)],
    [("h_next", FLOAT), ("r", FLOAT), ("s", FLOAT)],
)
nodes = [
    node(
        "Scan", ["h0", "a", "b"], ["h", "r", "s"], body=graph, num_scan_inputs=2, scan_input_axes=[1, 0], scan_input_directions=[0, 1],
        scan_output_axes=[-1, 0], scan_output_directions=[0, 1],
    )
]
sets = []
for length in (4, 30):
    h0, a, b = floats(3), floats(3, length) * np.float32(0.5), floats(length, 3)
    h, r, s = h0, [], []
    for t in range(length):
        h = (h * a[:, t] + b[length - 1 - t]).astype(np.float32)
        r.append(h)
        s.append(h.sum())
    expected = {"h": h, "r": np.stack(r, axis=1), "s": np.array(s[::-1], np.float32)}
    sets.append(({"h0": h0, "a": a, "b": b}, expected))
save("scan_axes", nodes, [info("h0", h0), info("a", a, (3, "n")), info("b", b, ("n", 3))], {}, sets)
