"""Replicas of `gristmill serve` under Ray Serve, on one machine or many.

    GRISTMILL=target/release/gristmill MODELS=tests/models serve run examples.serve.ray_serve:app

Ray starts the replicas, sends each request to one that has time, and starts a replica anew that is not healthy. Each owns a server process on a
free port of the loopback address and hands requests on as they are, so clients speak the Open Inference Protocol to Ray's address.
"""

import asyncio
import os
import signal

import httpx
from ray import serve
from starlette.requests import Request
from starlette.responses import Response

# What belongs to one connection and not to the message (RFC 9110, 7.6.1), and what httpx counts anew.
HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length"}


@serve.deployment(
    num_replicas=int(os.environ.get("REPLICAS", "2")),
    max_ongoing_requests=64,
    health_check_period_s=1,
    health_check_timeout_s=5,
    graceful_shutdown_timeout_s=40,
    ray_actor_options={"num_cpus": 0.5},
)
class Gristmill:
    async def __init__(self, binary: str, models: str):
        command = [binary, "serve", models, "--http", "127.0.0.1:0", "--grpc", "off", "--log", "warn"]
        self.process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async for line in self.process.stdout:
            name, _, address = line.decode().strip().partition(": ")
            if name == "http":
                break
        else:
            raise RuntimeError("gristmill ended before it listened")
        self.client = httpx.AsyncClient(base_url=f"http://{address}", timeout=60)
        # A replica takes requests once its constructor is done.
        while (await self.client.get("/v2/health/ready")).status_code != 200:
            await asyncio.sleep(0.05)

    async def check_health(self):
        if self.process.returncode is not None:
            raise RuntimeError(f"gristmill ended with {self.process.returncode}")
        (await self.client.get("/v2/health/live")).raise_for_status()

    async def __call__(self, request: Request) -> Response:
        headers = [(name, value) for name, value in request.headers.items() if name not in HOP_BY_HOP]
        path = httpx.URL(path=request.url.path, query=request.url.query.encode())
        sent = self.client.build_request(request.method, path, headers=headers, content=await request.body())
        # Compressed bodies go on as they are.
        answer = await self.client.send(sent, stream=True)
        body = b"".join([part async for part in answer.aiter_raw()])
        headers = {name: value for name, value in answer.headers.items() if name not in HOP_BY_HOP}
        return Response(body, answer.status_code, {**headers, "x-replica": str(self.process.pid)})

    async def __del__(self):
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            await self.process.wait()


app = Gristmill.bind(os.path.abspath(os.environ["GRISTMILL"]), os.path.abspath(os.environ["MODELS"]))
