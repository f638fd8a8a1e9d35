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
