"""The demo's phases: starts the applications, breaks what the phase breaks, collects what they wrote."""

import dataclasses
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

import answers
import load
import machine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PATIENCE_S = 30.0  # for applications to open their streams, and to end after the last frame


@dataclasses.dataclass
class Stage:
    """What every phase needs."""

    service: object
    binaries: pathlib.Path
    libraries: pathlib.Path
    sample: pathlib.Path
    out: pathlib.Path
    subnets: list
    say: object


def application(stage, stream, log, seconds):
    """The command line of a stream's application: the cascade's is the one in Python."""
    common = ["--socket", stage.service.socket, "--sample", stage.sample, "--out", log, "--name", stream.name, "--fps", stream.fps,
              "--seconds", seconds, "--deadline-ms", stream.deadline_ms, "--wait", "--slots", stream.slots,
              "--first-image", sum(map(ord, stream.name)) % 500]
    if stream.child:
        narrow, full = load.narrow_subnet(stage.subnets), load.full_subnet(stage.subnets)
        return [sys.executable, HERE / "stream_app.py", *common, "--child", stream.child, "--child-deadline-ms", 100,
                "--accuracy-ceiling", narrow.accuracy, "--child-accuracy-floor", full.accuracy, "--threshold", 0.6]
    form, width, height = stream.picture
    return [stage.binaries / "takt-demo-stream", *common, "--class", stream.criticality, "--jitter-ms", stream.jitter_ms,
            "--period-ms", stream.period_ms, "--picture", form, "--width", width, "--height", height]


def start_applications(stage, streams, folder, seconds):
    environment = os.environ | {"PYTHONPATH": str(ROOT / "runtime" / "client"), "TAKT_LIBRARY": str(stage.libraries / "libtakt.so"),
                                "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    running = {}
    with open(folder / "applications.log", "wb") as log:
        for stream in streams:
            command = application(stage, stream, folder / f"{stream.name}.jsonl", seconds)
            running[stream.name] = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=log, stderr=log,
                                                    env=environment)
    return running


def begin(running, folder):
    """Waits until every application has its streams open, then tells all of them the same instant to begin at."""
    give_up = time.monotonic() + PATIENCE_S
    logs = [folder / f"{name}.jsonl" for name in running]
    while not all(log.exists() and log.stat().st_size > 0 for log in logs):
        if time.monotonic() > give_up or any(p.poll() is not None for p in running.values()):
            raise RuntimeError(f"applications did not open their streams:\n{(folder / 'applications.log').read_text()}")
        time.sleep(0.02)
    start_ns = time.monotonic_ns() + 300_000_000
    for process in running.values():
        process.stdin.write(f"{start_ns}\n".encode())
        process.stdin.close()
    return start_ns


def run(stage, name, streams, seconds, in_the_middle=None):
    """One phase; returns its part of the result file. `in_the_middle(folder)` is called at half of the time and its facts
    are added. Raises RuntimeError if an application failed."""
    folder = stage.out / name
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.jsonl"):
        old.unlink()
    _, offset = stage.service.trace_from(0)
    running = start_applications(stage, streams, folder, seconds)
    facts, used = {}, Used(stage.service)
    try:
        start_ns = begin(running, folder)
        if in_the_middle:
            sleep_until(start_ns + int(seconds / 2 * 1e9))
            facts = in_the_middle(folder, offset)
        wait_for(running, start_ns, seconds, stage, folder)
    finally:
        machine.end_processes([p.pid for p in running.values() if p.poll() is None])
    facts["cpu"] = used.until_now()
    if "trace_before" not in facts:
        time.sleep(0.3)  # the trace is written a moment later
        write_trace(folder, stage.service.trace_from(offset)[0])
    else:
        write_trace(folder, facts.pop("trace_before") + stage.service.trace_from(0)[0])
    logs = answers.read_logs(folder)
    summaries = [answers.summarise(s) for s in in_order(logs, streams) if s.frames]
    return {"name": name, "seconds": seconds, "started_ns": start_ns, "streams": summaries} | facts


class Used:
    """Processor time from here on, in cores: what the service and the applications take beside the model."""

    def __init__(self, service):
        self.service, self.before, self.from_s = service, service.cpu_seconds(), time.monotonic()
        self.children = self.children_seconds()

    @staticmethod
    def children_seconds():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def until_now(self):
        seconds = time.monotonic() - self.from_s
        each = {pid: total - self.before.get(pid, 0.0) for pid, total in self.service.cpu_seconds().items()}
        broker = each.pop(self.service.process.pid)
        parts = {"broker": broker, "executors": sum(each.values()), "applications": self.children_seconds() - self.children}
        return {name: round(used / seconds, 3) for name, used in parts.items()}


def in_order(logs, streams):
    names = [n for s in streams for n in (s.name, s.child) if n]
    return [logs[n] for n in names if n in logs]


def write_trace(folder, lines):
    (folder / "trace.csv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def sleep_until(ns):
    while (left := ns - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)


def wait_for(running, start_ns, seconds, stage, folder):
    give_up = start_ns + int((seconds + PATIENCE_S) * 1e9)
    while any(p.poll() is None for p in running.values()):
        if time.monotonic_ns() > give_up:
            raise RuntimeError(f"applications did not end: {[n for n, p in running.items() if p.poll() is None]}")
        time.sleep(0.1)
    failed = [n for n, p in running.items() if p.returncode != 0]
    if failed:
        said = (folder / "applications.log").read_text(errors="replace")
        raise RuntimeError(f"applications failed: {', '.join(failed)}\n{said}\n{stage.service.end_of_log()}")


def hard_accelerator(folder):
    """Where the hard stream was admitted; empty if it was not."""
    with open(folder / "hard.jsonl", encoding="utf-8") as log:
        return json.loads(log.readline())["accelerator"]


def kill_executor(stage):
    """The fault: the executor that runs the hard stream is killed, the most that one death can do."""
    def act(folder, _offset):
        name = hard_accelerator(folder) or next(iter(stage.service.accelerators))
        pid, killed = stage.service.kill_executor(name)
        stage.say(f"killed the executor of {name}, which runs the hard stream (pid {pid})")
        return {"killed_ns": killed, "killed_accelerator": name, "killed_pid": pid}
    return act


def fault(stage, streams, seconds):
    phase = run(stage, "fault", streams, seconds, kill_executor(stage))
    frames = [f for s in answers.read_logs(stage.out / "fault").values() for f in s.frames]
    index = list(stage.service.accelerators).index(phase["killed_accelerator"])
    phase["recovery_ms"] = answers.recovery_ms(frames, index, phase["killed_ns"])
    phase["new_pid"] = stage.service.executor_pids().get(phase["killed_accelerator"])
    return phase


def restart(stage, streams, seconds):
    """The broker is killed and started again under load; returns the "restart" part of the result."""
    def act(_folder, offset):
        before, pids = stage.service.trace_from(offset)[0], stage.service.executor_pids()
        killed = stage.service.kill_broker()
        started = stage.service.start()
        stage.say(f"killed taktd and started it again after {(started - killed) / 1e6:.1f} ms")
        return {"killed_ns": killed, "restarted_ns": started, "pids": pids, "trace_before": before}

    phase = run(stage, "restart", streams, seconds, act)
    del phase["cpu"]  # the killed broker's would be counted as the applications'
    logs = answers.read_logs(stage.out / "restart")
    return phase | restart_facts(phase, logs, stage.service.executor_pids(), stage.out / "restart" / "trace.csv")


def restart_facts(phase, logs, pids_after, trace):
    started, killed = phase["restarted_ns"], phase["killed_ns"]
    dispatches = [int(line.split(",", 1)[0]) for line in trace.read_text(encoding="utf-8").splitlines() if ",start," in line]
    first = min((t for t in dispatches if t > started), default=None)
    resumed = [s.name for s in logs.values() if any(answers.with_result(f) and f["start_ns"] > started for f in s.frames)]
    return {"down_ms": (started - killed) / 1e6, "first_dispatch_ms": None if first is None else (first - started) / 1e6,
            "restarted": sum(f["verdict"] == "restarted" for s in logs.values() for f in s.frames),
            "disconnected": sum(f["verdict"] in ("disconnected", "refused") for s in logs.values() for f in s.frames),
            "executors_kept": phase["pids"] == pids_after, "streams_resumed": resumed, "resumed": len(resumed),
            "streams_open": len(logs), "answered_once": all(answers.answered_once(s) for s in logs.values())}
