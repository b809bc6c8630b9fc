"""Triton beside takt: started and loaded by the scripts of a `peers` folder, which is not part of this repository.

The folder holds models.py (writes Triton's model repository), pyclient.py, and a build.sh that makes loadgen, a native null
backend and a link to tritonserver in an output folder, from a virtual environment with the nvidia-pytriton wheel.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time

from support import machine

GRPC, HTTP = 18001, 18000
TARGET = f"127.0.0.1:{GRPC}"


def why_missing(peers, out, venv):
    """What is not there, or None if Triton can be run."""
    if not (peers and out and venv):
        return "give --peers, --peers-out and --venv"
    for path in (os.path.join(peers, "models.py"), os.path.join(out, "tritonserver"), os.path.join(out, "loadgen"),
                 os.path.join(venv, "bin", "python")):
        if not os.path.exists(path):
            return path + " is not there"
    return None


class Triton:
    """`with Triton(...) as t:`. models: names to keep of those that models.py writes; pin: a CPU, or None."""

    def __init__(self, peers, out, venv, models, extra=(), pin=None):
        self.peers, self.out, self.venv, self.extra, self.pin = peers, out, venv, list(extra), pin
        self.folder = tempfile.mkdtemp(prefix="takt-bench-triton-")
        repository = os.path.join(self.folder, "models")
        os.mkdir(repository)
        subprocess.check_call([sys.executable, os.path.join(peers, "models.py"), repository])
        for name in os.listdir(repository):
            if name not in models:
                shutil.rmtree(os.path.join(repository, name))
        site = subprocess.check_output([os.path.join(venv, "bin", "python"), "-c",
                                        "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True).strip()
        self.environment = dict(os.environ, PATH=os.path.join(venv, "bin") + ":" + os.environ["PATH"], PYTHONPATH=site)
        self.repository = repository

    def __enter__(self):
        pin = ["taskset", "-c", str(self.pin)] if self.pin is not None else []
        with open(os.path.join(self.folder, "log"), "w") as log:
            self.process = subprocess.Popen(
                [*pin, os.path.join(self.out, "tritonserver"), "--model-repository=" + self.repository,
                 "--backend-directory=" + os.path.join(self.out, "backends"), "--http-address=127.0.0.1",
                 f"--http-port={HTTP}", "--grpc-address=127.0.0.1", f"--grpc-port={GRPC}", "--allow-metrics=false",
                 "--allow-gpu-metrics=false", *self.extra], stdout=log, stderr=subprocess.STDOUT, env=self.environment)
        until = time.monotonic() + 60
        while not self._ready():
            if time.monotonic() > until or self.process.poll() is not None:
                with open(os.path.join(self.folder, "log")) as log:
                    raise SystemExit("bench: tritonserver did not come up:\n" + log.read()[-2000:])
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def _ready():
        try:
            with socket.create_connection(("127.0.0.1", HTTP), timeout=1) as s:
                s.sendall(b"GET /v2/health/ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return b" 200 " in s.recv(200)
        except OSError:
            return False

    def load(self, *streams, seconds, client_cpu=None, warm_up=0.5):
        """Runs loadgen; one dictionary a kind of stream. cpu_s: of all processes together."""
        pin = ["taskset", "-c", str(client_cpu)] if client_cpu is not None else []
        arguments = [f"secs={seconds}", f"warm={warm_up}"]
        for s in streams:
            arguments += ["--", f"target={TARGET}", "bytes=921600", "shm=1"] + [f"{k}={v}" for k, v in s.items()]
        before = machine.cpu_s(self.process.pid)
        run = subprocess.run([*pin, os.path.join(self.out, "loadgen"), *arguments], capture_output=True, text=True)
        server = machine.cpu_s(self.process.pid) - before
        out = [json.loads(line) for line in run.stdout.splitlines()]
        if run.returncode != 0 or not out:
            raise SystemExit("bench: loadgen failed: " + run.stderr[-500:])
        for o in out:
            o["cpu_s"] = server + o["client_cpu_s"]
        return out

    def python_client(self, model, size, seconds, client_cpu=None):
        pin = ["taskset", "-c", str(client_cpu)] if client_cpu is not None else []
        run = subprocess.run([*pin, os.path.join(self.venv, "bin", "python"), os.path.join(self.peers, "pyclient.py"), TARGET,
                              model, str(size), str(seconds), "shm"], capture_output=True, text=True, env=self.environment)
        if run.returncode != 0:
            raise SystemExit("bench: pyclient.py failed: " + run.stderr[-500:])
        return json.loads(run.stdout)
