"""Processes of `gristmill serve`, for the checks that ask it from outside."""

import http.client
import signal
import subprocess
import time


class Server:
    """A server by a binary; on free ports, where none is named."""

    def __init__(self, binary, models, http="127.0.0.1:0", grpc="127.0.0.1:0", *options):
        command = [binary, "serve", models, "--http", http, "--grpc", grpc, "--log", "warn", *options]
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addresses = {}
        for line in self.process.stdout:
            name, _, value = line.strip().partition(": ")
            self.addresses[name] = value
            if name == "grpc":
                break
        else:
            raise SystemExit("the server ended before it listened")
        self.http, self.grpc = self.addresses["http"], self.addresses["grpc"]

    def get(self, path):
        connection = http.client.HTTPConnection(self.http, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()

    def wait_until_ready(self, seconds=300):
        """Seconds from the start of the process on."""
        wait(lambda: self.get("/v2/health/ready") == 200, seconds, "the server is ready")
        return time.monotonic() - self.started

    def end(self, seconds=60):
        """SIGTERM, and what the process ends with."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def kill(self):
        self.process.kill()
        self.process.wait()


def wait(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"{what}: not within {seconds} s")
        time.sleep(0.02)
