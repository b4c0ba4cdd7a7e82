"""A server for one run: a temporary directory, free ports, its configuration (here and nowhere else), its end."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path


def free_ports(count):
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def configuration(ports, directory, api=""):
    """The keys that differ from the defaults: ports, places, loopback webhooks, and waits short enough for a test."""
    ocpp, partner, operator, metrics = ports
    return f"""
[api]
partner_listen = "127.0.0.1:{partner}"
operator_listen = "127.0.0.1:{operator}"
operator_token_file = "{directory}/operator.token"
{api}

[gateway]
listen = "127.0.0.1:{ocpp}"

[charger]
first_call_delay = "0ms"
first_call_spread = "0ms"
file_hosts = ["files.example.org"]
unsigned_firmware = true

[journal]
path = "{directory}/data"
key_file = "{directory}/chargeline.key"

[message_log]
path = "{directory}/messages"

[telemetry]
metrics_listen = "127.0.0.1:{metrics}"
log_filter = "info,chargeline=debug"

[webhook]
schedule = ["1s", "1s", "2s", "5s"]
ports = []
allow_cidrs = ["127.0.0.0/8"]
allow_http = true
"""


class Server:
    """The real binary. Leaves nothing behind: it is ended by its process id."""

    def __init__(self, binary, sink_port, keep=False):
        self.binary = Path(binary).resolve()
        # Keys that only some runs set.
        self.more = ""
        # Keys of `[api]` that only some runs set.
        self.api = ""
        self._keep = keep
        self.sink_port = sink_port
        self.directory = Path(tempfile.mkdtemp(prefix="chargeline-peers-"))
        self._ports = free_ports(4)
        ocpp, partner, operator, metrics = self._ports
        self.ocpp_url = f"ws://127.0.0.1:{ocpp}/ocpp"
        self.partner_url = f"http://127.0.0.1:{partner}"
        self.operator_url = f"http://127.0.0.1:{operator}"
        self.metrics_url = f"http://127.0.0.1:{metrics}/metrics"
        self._process = None

    def __enter__(self):
        self.configure()
        self._log = open(self.directory / "server.log", "ab")
        self.start()
        return self

    def configure(self):
        config = self.directory / "chargeline.toml"
        config.write_text(configuration(self._ports, self.directory, self.api) + self.more)

    def start(self):
        command = [str(self.binary), "serve", "--config", str(self.directory / "chargeline.toml")]
        streams = {"stdin": subprocess.DEVNULL, "stdout": self._log, "stderr": self._log}
        self._process = subprocess.Popen(command, cwd=self.directory, **streams)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if not self.alive():
                break
            try:
                with urllib.request.urlopen(f"{self.operator_url}/readyz", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        how = "was not ready within 30 s" if self.alive() else f"ended with {self._process.returncode} before it was ready"
        self.show_log()
        self.__exit__()
        raise SystemExit(f"peers: the server {how}")

    def kill(self):
        """As a power cut would: kill -9."""
        self._process.kill()
        self._process.wait()

    def alive(self):
        return self._process.poll() is None

    def token(self):
        return (self.directory / "operator.token").read_text().strip()

    def metrics(self):
        with urllib.request.urlopen(self.metrics_url, timeout=5) as answer:
            return answer.read().decode()

    def show_log(self):
        self._log.flush()
        lines = (self.directory / "server.log").read_text(errors="replace").splitlines()
        print("\n".join(["server log, last lines:", *lines[-60:]]))

    def stop(self):
        """SIGTERM, as an operator would. The exit status; none if it had to be killed (RT-9)."""
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()
            return None

    def __exit__(self, *_):
        if self._process and self.alive():
            self.stop()
        self._log.close()
        if self._keep:
            print(f"peers: kept {self.directory}")
        else:
            shutil.rmtree(self.directory, ignore_errors=True)
