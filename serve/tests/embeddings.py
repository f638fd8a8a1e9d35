"""The openai client against /v1/embeddings: embeddings.py BINARY

The model looks tokens up in a table; vectors are held against numpy.
"""

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import openai
from onnx import TensorProto, helper, numpy_helper
from server import Server

WORDS = ["[UNK]", "a", "kernel", "ground", "between", "stones"]
CONFIG = """
[batching.pad]
dimension = "sequence"
lengths = [4, 8]
mask = "mask"

[embeddings]
output = "hidden"
input = "ids"
dimensions = [4]
"""


def put(folder, table):
    """A model whose vectors are those of a table, and none where the mask is 0."""
    value = lambda name, kind, shape: helper.make_tensor_value_info(name, kind, shape)
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["found"]),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Cast", ["column"], ["weight"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["found", "weight"], ["hidden"]),
    ]
    inputs = [value(name, TensorProto.INT64, ["batch", "sequence"]) for name in ("ids", "mask")]
    outputs = [value("hidden", TensorProto.FLOAT, ["batch", "sequence", table.shape[1]])]
    initializers = [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([2]), "last")]
    graph = helper.make_graph(nodes, "words", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (folder / "words").mkdir()
    onnx.save(model, folder / "words" / "model.onnx")
    (folder / "words" / "model.toml").write_text(CONFIG)
    vocabulary = {word: k for k, word in enumerate(WORDS)}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"},
    }
    (folder / "words" / "tokenizer.json").write_text(json.dumps(tokenizer))


def refused(call, kind):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"expected {kind.__name__}, found an answer")


def main():
    table = np.random.default_rng(5).standard_normal((len(WORDS), 8)).astype(np.float32)

    def expected(text, dimensions=8):
        vector = table[[WORDS.index(word) if word in WORDS else 0 for word in text.split()]].mean(0)[:dimensions]
        return vector / np.linalg.norm(vector)

    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), table)
        server = Server(sys.argv[1], folder)
        try:
            server.wait_until_ready()
            client = openai.OpenAI(base_url=f"http://{server.http}/v1", api_key="none", max_retries=0)
            texts = ["a kernel", "stones", "a kernel ground between two stones"]
            # The client asks for base64 where nothing is said.
            for form in ({}, {"encoding_format": "float"}):
                answer = client.embeddings.create(model="words", input=texts, **form)
                assert [one.index for one in answer.data] == [0, 1, 2] and answer.usage.prompt_tokens == 9, answer.usage
                for one, text in zip(answer.data, texts, strict=True):
                    np.testing.assert_allclose(one.embedding, expected(text), rtol=1e-4, atol=1e-5)
            (one,) = client.embeddings.create(model="words", input=texts[0], dimensions=4).data
            np.testing.assert_allclose(one.embedding, expected(texts[0], 4), rtol=1e-4, atol=1e-5)
            (one,) = client.embeddings.create(model="words", input=[[1, 2]]).data
            np.testing.assert_allclose(one.embedding, expected(texts[0]), rtol=1e-4, atol=1e-5)
            refused(lambda: client.embeddings.create(model="nothing", input="a"), openai.NotFoundError)
            refused(lambda: client.embeddings.create(model="words", input=[]), openai.BadRequestError)
            refused(lambda: client.embeddings.create(model="words", input="a", dimensions=3), openai.BadRequestError)
            refused(lambda: client.embeddings.create(model="words", input=" ".join(["a"] * 9)), openai.BadRequestError)
            assert server.end() == 0
        finally:
            server.kill()
    print("ok")


main()
