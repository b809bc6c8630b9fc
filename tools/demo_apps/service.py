"""The service of the demo: its configuration, the broker taktd and the executors that it starts."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import xml.sax.saxutils as sax

import machine

POLICY = "takt"


def configuration(accelerators, model, profiles, runtime_directory, trace, policy):
    """takt.xml for one executor process and one core an accelerator. `profiles`: accelerator -> file."""
    quote = sax.quoteattr
    devices = "".join(
        f'  <device name={quote(name)} driver="cpu" executor="spawn">\n'
        f'    <accelerator name={quote(name)} cores="{core}" threads="1" ahead="1"/>\n  </device>\n'
        for name, core in accelerators.items())
    costs = "".join(f"    <profile accelerator={quote(n)} file={quote(str(f))}/>\n" for n, f in profiles.items())
    core = next(iter(accelerators.values()))
    return (f'<?xml version="1.0" encoding="UTF-8"?>\n<takt>\n'
            f'  <service runtime_directory={quote(str(runtime_directory))} policy={quote(policy)}>\n'
            f'    <scheduler core="{core}" priority="20" lock_memory="true"/>\n'
            f'    <status path="status.sock"/>\n'
            f'    <trace file={quote(str(trace))} events="262144"/>\n  </service>\n'
            f'  <listener path="takt.sock" class="hard"/>\n{devices}'
            f"  <model directory={quote(str(model))}>\n{costs}  </model>\n</takt>\n")


class Service:
    """One taktd and its executors. Ends everything that it started, by process id, in close()."""

    def __init__(self, binaries, out, accelerators, model, profiles, policy=POLICY):
        # A socket's path holds 107 bytes, so it gets a short folder of its own.
        self.run = pathlib.Path(tempfile.mkdtemp(prefix="takt-demo-"))
        self.binaries, self.accelerators = binaries, accelerators
        self.socket = self.run / "takt.sock"
        self.trace = out / "trace-live.csv"
        self.trace.unlink(missing_ok=True)  # an older run's would say that its accelerators are up
        self.config = out / "takt.xml"
        self.config.write_text(configuration(accelerators, model, profiles, self.run, self.trace, policy), encoding="utf-8")
        self.log = open(out / "taktd.log", "ab")
        self.process = None

    def check(self):
        """What is wrong with the configuration; empty if nothing is."""
        done = subprocess.run([self.binaries / "taktd", "--check-config", "--config", self.config], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr.strip() or f"taktd ended with {done.returncode}"

    def start(self):
        """Starts the broker; returns the time of it. Executors that are still there connect again by themselves."""
        started = time.monotonic_ns()
        self.process = subprocess.Popen([self.binaries / "taktd", "--config", self.config], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        return started

    def wait_until_up(self, patience_s=90.0):
        """Waits until every accelerator takes work, as the trace says. Raises with the log's end if it never does."""
        give_up = time.monotonic() + patience_s
        while time.monotonic() < give_up:
            if self.process.poll() is not None:
                raise RuntimeError(f"taktd ended with {self.process.returncode}:\n{self.end_of_log()}")
            if self.accelerators_up() == len(self.accelerators):
                return
            time.sleep(0.05)
        raise RuntimeError(f"the executors did not come up within {patience_s:g} s:\n{self.end_of_log()}")

    def accelerators_up(self):
        up = set()
        for line in self.trace_from(0)[0]:
            parts = line.split(",")
            if len(parts) >= 6 and parts[1] == "up":
                up.add(parts[5])
            elif len(parts) >= 6 and parts[1] == "down":
                up.discard(parts[5])
        return len(up)

    def trace_from(self, offset):
        """(whole lines of the trace from a byte offset, the offset after them)."""
        try:
            with open(self.trace, "rb") as file:
                file.seek(offset)
                data = file.read()
        except FileNotFoundError:
            return [], offset
        whole = data.rfind(b"\n") + 1
        return data[:whole].decode(errors="replace").splitlines(), offset + whole

    def end_of_log(self):
        self.log.flush()
        return "\n".join(pathlib.Path(self.log.name).read_text(errors="replace").splitlines()[-12:])

    def executor_pids(self):
        """Accelerator -> process id of its executor, for those that live."""
        pids = {}
        for pid in machine.find_processes("takt-exec", str(self.run / "exec.sock")):
            arguments = machine.arguments_of(pid)
            if "--device" in arguments and machine.is_running(pid):
                pids[arguments[arguments.index("--device") + 1]] = pid
        return pids

    def cpu_seconds(self):
        """Processor time of the broker and of each executor, by process id."""
        return {pid: machine.cpu_seconds(pid) for pid in [self.process.pid, *self.executor_pids().values()]}

    def kill_executor(self, accelerator):
        """SIGKILL; returns (process id, time of it)."""
        pid = self.executor_pids()[accelerator]
        killed = time.monotonic_ns()
        os.kill(pid, signal.SIGKILL)
        return pid, killed

    def kill_broker(self):
        """SIGKILL; returns the time of it. Executors stay."""
        killed = time.monotonic_ns()
        self.process.kill()
        self.process.wait()
        return killed

    def close(self):
        """Ends the broker, then executors that outlived it. A second Ctrl-C does not stop it half-way."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        machine.end_processes(list(self.executor_pids().values()))
        self.log.close()
        shutil.rmtree(self.run, ignore_errors=True)
