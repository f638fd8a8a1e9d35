"""Holds `gristmill serve` to what /openapi.json says of it, by schemathesis: openapi.py BINARY"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from server import Server

MODELS = pathlib.Path("tests/models")

# Models that are quick by references, and what the document cannot know: that a request in its form may not fit the model.
SERVED = ["digit_cnn", "g2p_en_encoder"]
CONFIG = """
[[operations]]
include-operation-id-regex = "^(infer|embeddings)"
checks.positive_data_acceptance.expected-statuses = ["2xx", "4xx", 501, 503]

[[operations]]
include-operation-id-regex = "^(infer|load)"
# Well formed, and not implemented: shared memory, parameters of a load.
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 501]
"""


def run(binary, folder, models, options, headers):
    server = Server(binary, str(models), "127.0.0.1:0", "127.0.0.1:0", "--device", "cpu", *options)
    try:
        server.wait_until_ready()
        command = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", f"{folder}/schemathesis.toml"]
        command += ["run", f"http://{server.http}/openapi.json", "--checks", "all", "--max-examples", "40", "--seed", "7"]
        for header in headers:
            command += ["--header", header]
        code = subprocess.run(command, cwd=folder).returncode
        assert code == 0, f"schemathesis ended with {code}"
        assert server.get("/v2/health/live") == 200
        assert server.end() == 0
    finally:
        server.kill()


def main():
    binary = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        models = pathlib.Path(folder, "models")
        for name in SERVED:
            models.joinpath(name).mkdir(parents=True)
            shutil.copy(MODELS / name / "model.onnx", models / name)
        parameters = "[parameters]\n" + f'"path.model" = {SERVED}\n'.replace("'", '"') + '"path.version" = "1"\n'
        keys = pathlib.Path(folder, "keys.toml")
        keys.write_text(f'[[tenant]]\nname = "all"\nsha256 = "{hashlib.sha256(b"secret").hexdigest()}"\nadmin = true\n')
        # Models that are not there, then those that are; without keys, and with them.
        for name, config, options, headers in [
            ("any models", CONFIG, [], []),
            ("these models", parameters + CONFIG, [], []),
            ("with keys", parameters + CONFIG, ["--keys", str(keys)], ["Authorization: Bearer secret"]),
        ]:
            print(f"== {name}", flush=True)
            pathlib.Path(folder, "schemathesis.toml").write_text(config)
            run(binary, folder, models, options, headers)
    print("ok")


main()
