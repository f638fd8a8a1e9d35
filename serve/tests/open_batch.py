"""bert_tiny with an open number of rows, which its export fixed at two: open_batch.py TARGET

Written to TARGET/bert_tiny/model.onnx once onnxruntime finds the rows of both equal.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

SOURCE = Path("tests/models/bert_tiny/model.onnx")
ROWS, LENGTH = 2, 16


def opened(model):
    """Extents of two become the batch's, and shapes that count on them count from the other extents."""
    shapes = {node.input[1] for node in model.graph.node if node.op_type in ("Reshape", "Expand")}
    for initializer in model.graph.initializer:
        array = numpy_helper.to_array(initializer)
        if initializer.name in shapes and array[0] == ROWS:
            heads = 64 // 16
            open_shape = {(ROWS, LENGTH, -1, 16): [-1, LENGTH, heads, 16], (ROWS, LENGTH, -1): [-1, LENGTH, 64], (ROWS, LENGTH): [1, LENGTH]}
            array = np.array(open_shape[tuple(array.tolist())], array.dtype)
            initializer.CopyFrom(numpy_helper.from_array(array, initializer.name))
    # The mask in the place of scores, which the export wrote as indices of both rows.
    (mask,) = [node for node in model.graph.node if node.op_type == "GatherND"]
    model.graph.initializer.append(numpy_helper.from_array(np.array([1, 2]), "axes_of_mask"))
    mask.CopyFrom(onnx.helper.make_node("Unsqueeze", [mask.input[0], "axes_of_mask"], mask.output, mask.name))
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    used = {name for node in model.graph.node for name in node.input}
    kept = [initializer for initializer in model.graph.initializer if initializer.name in used]
    del model.graph.value_info[:], model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return model


def main():
    target = Path(sys.argv[1]) / "bert_tiny" / "model.onnx"
    target.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(opened(onnx.load(SOURCE)), target)
    sessions = [onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]) for path in (SOURCE, target)]
    folder = SOURCE.parent / "test_data_set_0"
    arrays = [numpy_helper.to_array(onnx.load_tensor(folder / f"input_{k}.pb")) for k in range(2)]
    fed = [{value.name: array for value, array in zip(session.get_inputs(), arrays, strict=True)} for session in sessions]
    expected, found = (session.run(None, inputs) for session, inputs in zip(sessions, fed, strict=True))
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    for row in range(ROWS):
        alone = sessions[1].run(None, {name: array[row : row + 1] for name, array in fed[1].items()})
        for one, other in zip(expected, alone, strict=True):
            np.testing.assert_allclose(one[row : row + 1], other, rtol=1e-5, atol=1e-6)


main()
