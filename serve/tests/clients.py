"""Asks `gristmill serve tests/models` by tritonclient: clients.py BINARY"""

import glob
import os
import sys
import tempfile
import threading

import numpy as np
import onnx
import tritonclient.grpc as over_grpc
import tritonclient.http as over_http
from onnx import TensorProto, helper, numpy_helper
from server import Server
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

MODELS = "tests/models"


def tensors(pattern):
    paths = sorted(glob.glob(pattern), key=lambda path: int(path.rsplit("_", 1)[1].removesuffix(".pb")))
    return [numpy_helper.to_array(onnx.load_tensor(path)) for path in paths]


def inputs_of(kind, metadata, arrays):
    inputs = []
    for described, array in zip(metadata["inputs"], arrays, strict=True):
        tensor = kind.InferInput(described["name"], array.shape, np_to_triton_dtype(array.dtype))
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    return inputs


def described(client, name):
    """Metadata as a dictionary, whichever client gives it."""
    if isinstance(client, over_grpc.InferenceServerClient):
        return client.get_model_metadata(name, as_json=True)
    return client.get_model_metadata(name)


def check_cases(kind, client):
    """Every test case of every model against what the model's own framework gave."""
    cases = 0
    for path in sorted(glob.glob(f"{MODELS}/*/model.onnx")):
        name = path.split("/")[-2]
        metadata = described(client, name)
        for folder in sorted(glob.glob(f"{MODELS}/{name}/test_data_set_*")):
            expected = tensors(f"{folder}/output_*.pb")
            answer = client.infer(name, inputs_of(kind, metadata, tensors(f"{folder}/input_*.pb")), request_id="case")
            for output, tensor in zip(metadata["outputs"], expected, strict=True):
                found = answer.as_numpy(output["name"])
                assert found.shape == tensor.shape, f"{name}: {output['name']} has shape {found.shape}, expected {tensor.shape}"
                shape = [int(extent) for extent in output["shape"]]
                assert shape == [-1] or len(shape) == found.ndim, f"{name}: {output['name']} is described as {shape}"
                np.testing.assert_allclose(found, tensor, rtol=1e-3, atol=1e-4, err_msg=f"{name}: {output['name']}")
            cases += 1
    return cases


def refused(call, *codes):
    try:
        call()
    except InferenceServerException as e:
        assert e.status() in codes, f"expected {codes}, found {e.status()}: {e}"
        return
    raise AssertionError(f"expected {codes}, found an answer")


def check_calls(kind, client, not_found, invalid):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("digit_cnn")
    assert not client.is_model_ready("nothing")
    image = np.zeros((1, 1, 28, 28), np.float32)
    metadata = described(client, "digit_cnn")
    good = inputs_of(kind, metadata, [image])
    refused(lambda: client.infer("nothing", good), not_found)
    refused(lambda: client.infer("digit_cnn", good, model_version="7"), not_found)
    refused(lambda: client.infer("digit_cnn", inputs_of(kind, metadata, [image.astype(np.float64)])), invalid)
    refused(lambda: client.infer("digit_cnn", inputs_of(kind, metadata, [image[:, :, :3]])), invalid)
    classes = kind.InferRequestedOutput(metadata["outputs"][0]["name"], class_count=3)
    answer = client.infer("digit_cnn", good, outputs=[classes])
    assert answer.as_numpy(metadata["outputs"][0]["name"]).shape == (1, 3)
    client.unload_model("digit_cnn")
    refused(lambda: client.infer("digit_cnn", good), "503", "StatusCode.UNAVAILABLE")
    client.load_model("digit_cnn")
    assert client.is_model_ready("digit_cnn")
    assert client.get_inference_statistics("digit_cnn") and client.get_model_config("digit_cnn")
    assert client.get_model_repository_index() and client.get_server_metadata()


def check_forms(client):
    """JSON instead of bytes, and compressed bodies, over HTTP; a stream over gRPC."""
    metadata = described(client, "digit_cnn")
    image = np.random.default_rng(7).random((2, 1, 28, 28), np.float32)
    name = metadata["outputs"][0]["name"]
    expected = client.infer("digit_cnn", inputs_of(over_http, metadata, [image])).as_numpy(name)
    tensor = over_http.InferInput(metadata["inputs"][0]["name"], image.shape, "FP32")
    tensor.set_data_from_numpy(image, binary_data=False)
    output = over_http.InferRequestedOutput(name, binary_data=False)
    for encoding in [None, "gzip", "deflate"]:
        form = {"request_compression_algorithm": encoding, "response_compression_algorithm": encoding}
        answer = client.infer("digit_cnn", [tensor], outputs=[output], **form)
        np.testing.assert_allclose(answer.as_numpy(name), expected, rtol=1e-5, atol=1e-5)
        answer = client.infer("digit_cnn", inputs_of(over_http, metadata, [image]), **form)
        np.testing.assert_allclose(answer.as_numpy(name), expected, rtol=1e-5, atol=1e-5)


def check_stream(client):
    metadata = described(client, "digit_cnn")
    answers, done = [], threading.Event()

    def answered(result, error):
        answers.append((result, error))
        if len(answers) == 5:
            done.set()

    client.start_stream(answered)
    for k in range(5):
        image = np.full((1, 1, 28, 28), k, np.float32)
        client.async_stream_infer("digit_cnn", inputs_of(over_grpc, metadata, [image]), request_id=str(k))
    assert done.wait(60), "the stream is not answered"
    client.stop_stream()
    assert [result.get_response().id for result, error in answers if error is None] == ["0", "1", "2", "3", "4"]


def put_stateful(folder):
    """A model that adds its input to a state, and returns the sum."""
    value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
    nodes = [helper.make_node("Add", ["x", "held"], ["next"]), helper.make_node("Identity", ["next"], ["y"])]
    graph = helper.make_graph(nodes, "sum", [value("x"), value("held")], [value("y"), value("next")])
    os.makedirs(f"{folder}/sum")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), f"{folder}/sum/model.onnx")
    with open(f"{folder}/sum/model.toml", "w") as config:
        config.write('states = [["next", "held"]]\n')


def check_sequences(binary):
    """Two sequences, named by a number and by text, over HTTP, gRPC and a stream."""
    with tempfile.TemporaryDirectory() as folder:
        put_stateful(folder)
        server = Server(binary, folder)
        try:
            http = over_http.InferenceServerClient(server.http)
            grpc = over_grpc.InferenceServerClient(server.grpc)
            server.wait_until_ready()
            for kind, client in [(over_http, http), (over_grpc, grpc)]:

                def ask(value, **sequence):
                    tensor = kind.InferInput("x", [1], "FP32")
                    tensor.set_data_from_numpy(np.full([1], value, np.float32))
                    return client.infer("sum", [tensor], **sequence).as_numpy("y")[0]

                for step, expected in [(0, 1), (1, 2), (2, 3)]:
                    flags = {"sequence_start": step == 0, "sequence_end": step == 2}
                    assert ask(1, sequence_id=7, **flags) == expected
                    assert ask(10, sequence_id="seven", **flags) == 10 * expected
                    assert ask(5) == 5
                refused(lambda: ask(1, sequence_id=7), "400", "StatusCode.INVALID_ARGUMENT")
            answers, done = [], threading.Event()

            def answered(result, error):
                answers.append(float(result.as_numpy("y")[0]) if error is None else None)
                if len(answers) == 6:
                    done.set()

            grpc.start_stream(answered)
            for step in range(6):
                tensor = over_grpc.InferInput("x", [1], "FP32")
                tensor.set_data_from_numpy(np.full([1], 2, np.float32))
                sequence = {"sequence_id": 1 + step % 2, "sequence_start": step < 2, "sequence_end": step >= 4}
                grpc.async_stream_infer("sum", [tensor], **sequence)
            assert done.wait(60), "the stream is not answered"
            grpc.stop_stream()
            assert answers == [2, 2, 4, 4, 6, 6], answers
            http.close()
            grpc.close()
        finally:
            server.kill()


def main():
    server = Server(sys.argv[1], MODELS)
    try:
        http = over_http.InferenceServerClient(server.http, connection_timeout=120, network_timeout=120)
        grpc = over_grpc.InferenceServerClient(server.grpc)
        server.wait_until_ready()
        index = http.get_model_repository_index()
        assert index and all(line["state"] == "READY" for line in index), index
        check_calls(over_http, http, "404", "400")
        check_calls(over_grpc, grpc, "StatusCode.NOT_FOUND", "StatusCode.INVALID_ARGUMENT")
        check_forms(http)
        check_stream(grpc)
        check_sequences(sys.argv[1])
        print(f"{len(index)} models; cases over HTTP {check_cases(over_http, http)}, over gRPC {check_cases(over_grpc, grpc)}")
        http.close()
        grpc.close()
        code = server.end()
        assert code == 0, f"the server ended with {code}"
        print("ok")
    finally:
        server.kill()


main()
