"""A real taktd with takt-exec and the null driver in a folder of its own, and load on it."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

from support import machine


class Model:
    """A null model with one input of `size` bytes; `segments` segments of `cost` (such as "10ms") each."""

    def __init__(self, name, size, cost, segments=1):
        self.name, self.size, self.cost, self.segments = name, size, cost, segments

    def write(self, folder):
        os.mkdir(os.path.join(folder, self.name))
        names = [f"s{i}" for i in range(self.segments)]
        segments = "".join(f'<segment name="{n}" activation_bytes="{0 if n == names[-1] else 64}"/>' for n in names)
        costs = "".join(f'<cost segment="{n}" batch="1" p50="{self.cost}" p99="{self.cost}"/>' for n in names)
        with open(os.path.join(folder, self.name, "model.xml"), "w") as f:
            f.write(f'<model name="{self.name}" version="1" module="null"><input name="frame" dtype="u8" dims="{self.size}"/>'
                    f'<output name="echo" dtype="u8" dims="64"/>{segments}</model>')
        with open(os.path.join(folder, self.name, "profile.xml"), "w") as f:
            f.write(f'<profile model="{self.name}" accelerator="null0" driver="null">{costs}</profile>')


def default_policy(sources):
    """What takt.xml ships with: the runs are untuned."""
    with open(os.path.join(sources, "configs", "takt.xml")) as f:
        return re.search(r'policy="([^"]+)"', f.read())[1]


class Service:
    """`with Service(...) as s:`. build: the build folder; pin: a CPU for broker and executor, or None: CPU 0 and the last."""

    def __init__(self, build, models, policy, pin=None, spin=False):
        self.build, self.folder = build, tempfile.mkdtemp(prefix="takt-bench-")
        self.socket, self.pin, self.models = os.path.join(self.folder, "takt.sock"), pin, models
        for m in models:
            m.write(self.folder)
        broker, executor = (0, os.cpu_count() - 1) if pin is None else (pin, pin)
        entries = "".join(f'<model directory="{m.name}"><profile accelerator="null0" file="{m.name}/profile.xml"/></model>'
                          for m in models)
        with open(os.path.join(self.folder, "takt.xml"), "w") as f:
            f.write(f'<takt><service runtime_directory="." policy="{policy}"><scheduler core="{broker}"/></service>'
                    '<listener path="takt.sock" mode="0600" class="hard" memory="512MiB"/>'
                    f'<device name="null" driver="null"><accelerator name="null0" cores="{executor}"/></device>'
                    f'{entries}</takt>')
        self.environment = dict(os.environ, TAKT_NULL_MODE="spin") if spin else dict(os.environ)

    def __enter__(self):
        with open(os.path.join(self.folder, "log"), "w") as log:
            self.process = subprocess.Popen([os.path.join(self.build, "bin", "taktd"), "--config",
                                             os.path.join(self.folder, "takt.xml")], stderr=log, env=self.environment)
        until = time.monotonic() + 10
        while not self._up():
            if time.monotonic() > until or self.process.poll() is not None:
                raise SystemExit("bench: the service did not come up:\n" + self._log())
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _log(self):
        with open(os.path.join(self.folder, "log")) as f:
            return f.read()

    def _up(self):
        return "executor null: up" in self._log() and os.path.exists(self.socket)

    def processes(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as f:
            return [self.process.pid] + [int(pid) for pid in f.read().split()]

    def cpu_s(self):
        return sum(machine.cpu_s(pid) for pid in self.processes())

    def load(self, *streams, seconds, client_cpu=None, warm_up=0.5):
        """Runs bench-load; one dictionary a kind of stream, in the order given. cpu_s: of all processes together."""
        pin = ["taskset", "-c", str(client_cpu)] if client_cpu is not None else []
        texts = [",".join(f"{k}={v}" for k, v in s.items()) for s in streams]
        before = self.cpu_s()
        run = subprocess.run([*pin, os.path.join(self.build, "bin", "bench-load"), "--socket", self.socket, "--seconds",
                              str(seconds), "--warm-up", str(warm_up), *texts], capture_output=True, text=True)
        server = self.cpu_s() - before
        if run.returncode != 0:
            raise SystemExit("bench: bench-load failed: " + run.stderr)
        out = [json.loads(line) for line in run.stdout.splitlines()]
        for o in out:
            o["cpu_s"] = server + o["client_cpu_s"]
        return out
