"""Two replicas behind HAProxy (examples/serve/haproxy.cfg) under load: proxy.py BINARY

One is told to end, then, after it is back, one is killed. No client may see anything of either.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from server import Server, wait

MODEL = "digit_cnn"
CLIENTS = 8


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def request_body(value):
    image = [value] * 784
    return json.dumps({"inputs": [{"name": "image", "shape": [1, 1, 28, 28], "datatype": "FP32", "data": image}]}).encode()


class Load:
    """Clients that each wait for their answer before they ask again, until told to stop."""

    def __init__(self, address, expected):
        self.address, self.expected = address, expected
        self.done, self.statuses, self.wrong, self.slowest = threading.Event(), [], 0, 0.0
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.ask, args=(seed,)) for seed in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def ask(self, seed):
        choices = random.Random(seed)
        connection = http.client.HTTPConnection(self.address, timeout=60)
        while not self.done.is_set():
            value = choices.choice(list(self.expected))
            start = time.monotonic()
            try:
                connection.request("POST", f"/v2/models/{MODEL}/infer", request_body(value))
                response = connection.getresponse()
                status, body = response.status, response.read()
            except (OSError, http.client.HTTPException) as e:
                status, body = f"{type(e).__name__}", b""
                connection.close()
            with self.lock:
                self.statuses.append(status)
                self.slowest = max(self.slowest, time.monotonic() - start)
                self.wrong += status == 200 and not alike(body, self.expected[value])

    def stop(self):
        self.done.set()
        for thread in self.threads:
            thread.join()
        counts = {str(status): self.statuses.count(status) for status in set(self.statuses)}
        return {"answers": counts, "wrong": self.wrong, "slowest_s": round(self.slowest, 3)}


def alike(body, expected):
    """Whether an answer has the expected numbers; those of batches of other sizes differ in their last bits."""
    return all(abs(one - other) < 1e-4 for one, other in zip(outputs(body), expected, strict=True))


def outputs(body):
    return json.loads(body)["outputs"][0]["data"]


def ask(address, value):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", f"/v2/models/{MODEL}/infer", request_body(value))
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body
    return outputs(body)


def main():
    binary = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        models.mkdir()
        (models / MODEL).symlink_to(Path(f"tests/models/{MODEL}").resolve())
        ports = [free_port() for _ in range(4)]
        start = lambda which: Server(binary, str(models), f"127.0.0.1:{ports[which]}", f"127.0.0.1:{ports[which + 2]}")
        replicas = [start(0), start(1)]
        for replica in replicas:
            replica.wait_until_ready()
        frontend = f"127.0.0.1:{free_port()}"
        names = {"FRONTEND": frontend, "REPLICA_A": replicas[0].http, "REPLICA_B": replicas[1].http}
        proxy = subprocess.Popen(["haproxy", "-db", "-f", "examples/serve/haproxy.cfg"], env={**os.environ, **names})
        try:
            wait(lambda: is_open(frontend), 10, "the proxy listens")
            expected = {value: ask(frontend, value) for value in (0.0, 0.25, 0.5, 1.0)}

            load = Load(frontend, expected)
            time.sleep(2)
            code = replicas[0].end()
            time.sleep(2)
            found = load.stop()
            assert code == 0, f"the server ended with {code}"
            assert set(found["answers"]) == {"200"} and found["wrong"] == 0, found
            print(json.dumps({"what": "SIGTERM of one of two replicas behind haproxy, under load", **found}))

            load = Load(frontend, expected)
            replicas[0] = start(0)
            back = [replicas[0].wait_until_ready()]
            time.sleep(2)
            for which in (1, 0, 1):
                replicas[which].kill()
                time.sleep(1)
                replicas[which] = start(which)
                back.append(replicas[which].wait_until_ready())
                time.sleep(2)
            found = load.stop()
            assert set(found["answers"]) == {"200"} and found["wrong"] == 0, found
            line = {"what": "kill -9 of one of two replicas behind haproxy, three times", **found}
            print(json.dumps({**line, "ready_again_s": [round(seconds, 2) for seconds in back], "met": max(back) <= 10}))
            assert all(replica.end() == 0 for replica in replicas)
        finally:
            proxy.terminate()
            for replica in replicas:
                replica.kill()


def is_open(address):
    host, port = address.split(":")
    with socket.socket() as connection:
        return connection.connect_ex((host, int(port))) == 0


main()
