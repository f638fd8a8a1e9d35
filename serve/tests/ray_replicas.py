"""Two replicas under Ray Serve (examples/serve/ray_serve.py), one of which is killed: ray_replicas.py BINARY"""

import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import httpx
import numpy as np
import onnx
import ray
from onnx import numpy_helper
from ray import serve

MODEL = "digit_cnn"


def case():
    folder = Path(f"tests/models/{MODEL}/test_data_set_0")
    image, expected = (numpy_helper.to_array(onnx.load_tensor(folder / f"{name}_0.pb")) for name in ("input", "output"))
    return image, expected


def main():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MODEL).symlink_to(Path(f"tests/models/{MODEL}").resolve())
        os.environ |= {"GRISTMILL": os.path.abspath(sys.argv[1]), "MODELS": folder, "REPLICAS": "2"}
        sys.path.insert(0, "examples/serve")
        from ray_serve import app

        os.environ.setdefault("RAY_AUTH_MODE", "disabled")
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        serve.start(http_options={"host": "127.0.0.1", "port": 18000})
        serve.run(app)
        with httpx.Client(base_url="http://127.0.0.1:18000", timeout=60) as client:
            image, expected = case()
            described = client.get(f"/v2/models/{MODEL}").raise_for_status().json()
            tensor = {"name": described["inputs"][0]["name"], "shape": image.shape, "datatype": "FP32", "data": image.ravel().tolist()}

            def ask():
                answer = client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [tensor]})
                if answer.status_code != 200:
                    return None
                found = np.array(answer.json()["outputs"][0]["data"]).reshape(expected.shape)
                np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
                return int(answer.headers["x-replica"])

            replicas = [ask() for _ in range(200)]
            assert len(set(replicas)) == 2 and None not in replicas, "both replicas answer"
            answer = client.post("/v2/models/nothing/infer", json={"inputs": []})
            assert answer.status_code == 404 and "nothing" in answer.json()["error"], answer.text
            killed = replicas[0]
            os.kill(killed, signal.SIGKILL)
            start = time.monotonic()
            again = []
            while len(again) < 50 or len(set(again[-50:])) != 2 or {None, killed} & set(again[-50:]):
                again.append(ask())
                assert time.monotonic() - start < 120, "the replica does not come back"
            seconds = time.monotonic() - start
        line = {"what": "two replicas under Ray Serve, one killed", "answers_before": len(replicas), "both_again_s": round(seconds, 1)}
        print(json.dumps({**line, "asked_meanwhile": len(again), "failed_meanwhile": again.count(None)}))
        serve.shutdown()
        ray.shutdown()


main()
