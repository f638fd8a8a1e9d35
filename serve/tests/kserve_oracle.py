"""KServe's client asks gristmill and KServe's own ModelServer, which runs the same models by onnxruntime: kserve_oracle.py BINARY

Answers must agree, and so must the codes of what is wrong, but where a reason is given. Checks examples/serve/kserve.yaml for form, too.
"""

import asyncio
import glob
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx
import kserve.models
import kubernetes.client
import numpy as np
import onnx
import onnxruntime
import yaml
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, InferResponse, Model, ModelServer, RESTConfig
from kserve.models import V1beta1InferenceService
from kserve.utils.utils import from_np_dtype
from onnx import numpy_helper
from server import Server, wait

MODELS = ["digit_cnn", "g2p_en_encoder", "gpt2_tiny", "vit_tiny_hf"]
ORACLE = "http://127.0.0.1:18081"

# Requests that both answer by other codes, and why gristmill's is as it is.
DIFFERENCES = {
    "an input too few": "the oracle's model fails within onnxruntime, which it reports as 500; the fault is the client's",
    "a wrong name": "the oracle's model fails within onnxruntime, which it reports as 500; the fault is the client's",
    "a wrong shape": "the oracle's model fails within onnxruntime, which it reports as 500; the fault is the client's",
    "a wrong type": "the oracle's model fails within onnxruntime, which it reports as 500; the fault is the client's",
    "too few elements": "the oracle fails while it makes an array, which it reports as 500; the fault is the client's",
    "no JSON": "the oracle's framework answers 422, which the protocol does not have",
    "an empty body": "the oracle's framework answers 422, which the protocol does not have",
    "inputs that are no list": "the oracle's framework answers 422, which the protocol does not have",
    "no inputs": "the oracle's framework answers 422, which the protocol does not have",
}


class Reference(Model):
    def __init__(self, name):
        super().__init__(name)
        self.session = onnxruntime.InferenceSession(f"tests/models/{name}/model.onnx", providers=["CPUExecutionProvider"])
        self.ready = True

    async def predict(self, payload, headers=None, response_headers=None):
        names = [output.name for output in self.session.get_outputs()]
        arrays = self.session.run(names, {tensor.name: tensor.as_numpy() for tensor in payload.inputs})
        outputs = []
        for name, array in zip(names, arrays, strict=True):
            output = InferOutput(name, list(array.shape), from_np_dtype(array.dtype))
            output.set_data_from_numpy(array, binary_data=False)
            outputs.append(output)
        return InferResponse(response_id=payload.id, model_name=self.name, infer_outputs=outputs)


def case(name):
    folder = sorted(glob.glob(f"tests/models/{name}/test_data_set_*"))[0]
    model = onnx.load(f"tests/models/{name}/model.onnx", load_external_data=False)
    initialized = {initializer.name for initializer in model.graph.initializer}
    names = [value.name for value in model.graph.input if value.name not in initialized]
    return {name: numpy_helper.to_array(onnx.load_tensor(f"{folder}/input_{k}.pb")) for k, name in enumerate(names)}


def request(name, arrays, binary):
    inputs = []
    for tensor, array in arrays.items():
        one = InferInput(tensor, list(array.shape), from_np_dtype(array.dtype))
        one.set_data_from_numpy(array, binary_data=binary)
        inputs.append(one)
    return InferRequest(name, inputs, request_id="7")


async def check_answers(client, address):
    for name in MODELS:
        arrays = case(name)
        for binary in (False, True):
            found, expected = [await client.infer(base, request(name, arrays, binary), name) for base in (address, ORACLE)]
            assert found.id == expected.id == "7" and found.model_name == expected.model_name == name
            tensors = [{output.name: output for output in response.outputs} for response in (found, expected)]
            assert tensors[0].keys() == tensors[1].keys()
            for output, one in tensors[0].items():
                other = tensors[1][output]
                assert (one.shape, one.datatype) == (other.shape, other.datatype), f"{name}: {output}"
                np.testing.assert_allclose(one.as_numpy(), other.as_numpy(), rtol=1e-3, atol=1e-4, err_msg=f"{name}: {output}")


def wrong():
    image = {"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": [0.0] * 784}
    described = onnx.load("tests/models/digit_cnn/model.onnx", load_external_data=False)
    image["name"] = described.graph.input[0].name
    infer = "/v2/models/digit_cnn/infer"
    yield "a good one", "POST", infer, {"id": "7", "inputs": [image]}
    yield "an unknown model", "POST", "/v2/models/nothing/infer", {"inputs": [image]}
    yield "metadata of an unknown model", "GET", "/v2/models/nothing", None
    yield "readiness of an unknown model", "GET", "/v2/models/nothing/ready", None
    yield "an unknown path", "GET", "/v2/nothing", None
    yield "a wrong method", "GET", infer, None
    yield "no JSON", "POST", infer, b"{"
    yield "an empty body", "POST", infer, b""
    yield "no inputs", "POST", infer, {}
    yield "inputs that are no list", "POST", infer, {"inputs": 3}
    yield "an input too few", "POST", infer, {"inputs": []}
    yield "a wrong name", "POST", infer, {"inputs": [{**image, "name": "other"}]}
    yield "a wrong shape", "POST", infer, {"inputs": [{**image, "shape": [1, 1, 14, 56]}]}
    yield "a wrong type", "POST", infer, {"inputs": [{**image, "datatype": "FP64"}]}
    yield "an unknown type", "POST", infer, {"inputs": [{**image, "datatype": "FP99"}]}
    yield "too few elements", "POST", infer, {"inputs": [{**image, "data": [0.0]}]}


def check_codes(address):
    differs = []
    for what, method, path, body in wrong():
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        found, expected = (code(base, method, path, content) for base in (address, ORACLE))
        print(f"{what}: {found}, the oracle {expected}")
        differs.extend([what] if found != expected else [])
        assert isinstance(found, int) and found < 500, what
    assert set(differs) == set(DIFFERENCES), differs


def code(base, method, path, content):
    """The status of an answer, whose body says why if it is a refusal; else what befell the connection."""
    try:
        answer = httpx.request(method, base + path, content=content, headers={"content-type": "application/json"}, timeout=60)
    except httpx.TransportError as e:
        return type(e).__name__
    if answer.status_code >= 400 and base != ORACLE:
        assert isinstance(answer.json()["error"], str) and answer.json()["error"], answer.text
    return answer.status_code


def check_form():
    described = yaml.safe_load(Path("examples/serve/kserve.yaml").read_text())
    assert (described["apiVersion"], described["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    check_fields(V1beta1InferenceService, described, "InferenceService")
    assert described["spec"]["predictor"]["containers"][0]["name"] == "kserve-container"


def check_fields(kind, value, path):
    """Whether each field of a value is one that a class of KServe's or Kubernetes's has, all the way down."""
    if not isinstance(value, dict):
        return
    if hasattr(kind, "attribute_map"):
        kinds = {kind.attribute_map[name]: text for name, text in kind.openapi_types.items()}
        for name, part in value.items():
            assert name in kinds, f"{path} has no field {name}"
            text = kinds[name].removeprefix("list[").removesuffix("]")
            inner = getattr(kserve.models, text, None) or getattr(kubernetes.client, text, None)
            for one in part if isinstance(part, list) else [part]:
                check_fields(inner, one, f"{path}.{name}")
    elif hasattr(kind, "from_dict"):
        kept = kind.from_dict(value).to_dict()
        assert kept == value, f"{path}: {kept}"


async def ask(address):
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    assert await client.is_server_live(address) and await client.is_server_ready(address)
    assert await client.is_model_ready(address, "digit_cnn")
    await check_answers(client, address)


def main():
    check_form()
    oracle = subprocess.Popen([sys.executable, __file__, "oracle"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    server = None
    try:
        with tempfile.TemporaryDirectory() as folder:
            for name in MODELS:
                (Path(folder) / name).symlink_to(Path(f"tests/models/{name}").resolve())
            server = Server(sys.argv[1], folder)
            server.wait_until_ready()
            wait(lambda: answers(ORACLE), 120, "the oracle is ready")
            asyncio.run(ask(f"http://{server.http}"))
            check_codes(f"http://{server.http}")
            assert server.end() == 0
    finally:
        oracle.kill()
        if server:
            server.kill()
    print("ok")


def answers(address):
    try:
        return httpx.get(f"{address}/v2/health/ready").status_code == 200
    except httpx.TransportError:
        return False


if sys.argv[1] == "oracle":
    ModelServer(http_port=18081, enable_grpc=False).start([Reference(name) for name in MODELS])
else:
    main()
