"""Writes the folders beside it: models of one quantized product each, with what ONNX Runtime computes for them.

Needs onnx and onnxruntime (the numbers here are of onnx 1.23.2 and onnxruntime 1.32.0, on the CPU, in float32).
"""

import os

import numpy
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

HERE = os.path.dirname(os.path.abspath(__file__))


def pack(values, bits):
    """Values of a last axis to bytes, the first of two in the lower half."""
    if bits == 8:
        return values.astype(numpy.uint8)
    if values.shape[-1] % 2:
        values = numpy.concatenate([values, numpy.zeros_like(values[..., :1])], axis=-1)
    return (values[..., 0::2] | values[..., 1::2] << 4).astype(numpy.uint8)


def save(name, nodes, inputs, constants, outputs):
    """Runs a model and writes it with its inputs and outputs, in the layout of the ONNX backend tests."""
    initializers = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    infos = [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for key, a in inputs.items()]
    results = [helper.make_tensor_value_info(key, TensorProto.FLOAT, None) for key in outputs]
    graph = helper.make_graph(nodes, name, infos, results, initializers)
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    # What it makes of a dequantization and a product multiplies in 8 bits.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found = session.run(list(outputs), inputs)
    folder = os.path.join(HERE, name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    write = lambda path, message: open(path, "wb").write(message.SerializeToString())
    write(os.path.join(folder, "model.onnx"), model)
    for k, (key, array) in enumerate(inputs.items()):
        write(os.path.join(data, f"input_{k}.pb"), numpy_helper.from_array(array, key))
    for k, (key, array) in enumerate(zip(outputs, found)):
        write(os.path.join(data, f"output_{k}.pb"), numpy_helper.from_array(array, key))


def nbits(name, shape, n, bits, block, zero_points=None, bias=False):
    """A MatMulNBits; zero points are None, "packed" or "floats"."""
    random = numpy.random.default_rng(len(name) + n)
    k = shape[-1]
    blocks = -(-k // block)
    constants = {
        "b": pack(random.integers(0, 1 << bits, (n, blocks, block), numpy.uint8), bits),
        "scales": random.uniform(0.01, 0.1, (n * blocks,)).astype(numpy.float32),
    }
    names = ["a", "b", "scales", "", "", ""]
    if zero_points == "packed":
        constants["zero_points"] = pack(random.integers(0, 1 << bits, (n, blocks), numpy.uint8), bits).reshape(-1)
    if zero_points == "floats":
        constants["zero_points"] = random.uniform(0, 1 << bits, (n * blocks,)).astype(numpy.float32)
    if zero_points:
        names[3] = "zero_points"
    if bias:
        constants["bias"] = random.uniform(-1, 1, (n,)).astype(numpy.float32)
        names[5] = "bias"
    while not names[-1]:
        names.pop()
    node = helper.make_node("MatMulNBits", names, ["y"], domain="com.microsoft", K=k, N=n, bits=bits, block_size=block)
    save(name, [node], {"a": random.uniform(-1, 1, shape).astype(numpy.float32)}, constants, ["y"])


def dequantized(name, shape, n, dtype, zero_point, axis):
    """DequantizeLinear of constant weights, then MatMul; `axis` is None for one scale."""
    random = numpy.random.default_rng(len(name) + n)
    info = numpy.iinfo(dtype)
    size = () if axis is None else ((shape[-1], n)[axis],)
    constants = {
        "w": random.integers(info.min, info.max + 1, (shape[-1], n)).astype(dtype),
        "scale": random.uniform(0.001, 0.01, size).astype(numpy.float32),
    }
    names = ["w", "scale"]
    if zero_point:
        constants["zero_point"] = random.integers(info.min, info.max + 1, size).astype(dtype)
        names.append("zero_point")
    attributes = {} if axis is None else {"axis": axis}
    nodes = [
        helper.make_node("DequantizeLinear", names, ["b"], **attributes),
        helper.make_node("MatMul", ["a", "b"], ["y"]),
    ]
    save(name, nodes, {"a": random.uniform(-1, 1, shape).astype(numpy.float32)}, constants, ["y"])


nbits("bits4", (1, 64), 33, 4, 32)
nbits("bits4_batch", (2, 3, 128), 20, 4, 16)
nbits("bits4_zero_points", (5, 96), 12, 4, 32, "packed")
nbits("bits4_float_zero_points", (2, 64), 9, 4, 32, "floats")
nbits("bits4_bias", (3, 64), 10, 4, 64, bias=True)
nbits("bits4_short_block", (2, 80), 7, 4, 32, "packed")
nbits("bits8", (1, 64), 33, 8, 32)
nbits("bits8_zero_points", (4, 160), 17, 8, 32, "packed")
nbits("bits8_bias_batch", (2, 2, 64), 16, 8, 16, bias=True)
dequantized("int8_tensor", (3, 40), 24, numpy.int8, False, None)
dequantized("int8_columns", (3, 40), 24, numpy.int8, True, 1)
dequantized("uint8_columns", (1, 37), 11, numpy.uint8, True, 1)
dequantized("uint8_rows", (2, 16), 8, numpy.uint8, True, 0)
