#!/usr/bin/env python3
"""What does a user get from takt and from Triton under the same load on the same pretended device (W1, W2, W4, W7, W8, W9)?

The device is a sleep of the model's time in both. takt runs on the null driver with the policy that configs/takt.xml ships.
Every case runs takt and Triton in turn, several rounds, and states medians. Without --peers only takt's half is measured.
"""
import argparse
import json
import os
import subprocess
import sys

from support import machine, triton
from support.takt_service import Model, Service, default_policy

SOURCES = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FRAME = 921600
median = machine.median


class Run:
    """The arguments, and both contenders ready to be started."""

    def __init__(self, arguments):
        self.a = arguments
        self.policy = arguments.policy or default_policy(SOURCES)
        self.missing = triton.why_missing(arguments.peers, arguments.peers_out, arguments.venv)
        self.python = os.path.join(arguments.venv, "bin", "python") if arguments.venv else sys.executable

    def takt(self, *models, **options):
        return Service(self.a.build, models, self.policy, **options)

    def triton(self, *models, **options):
        return triton.Triton(self.a.peers, self.a.peers_out, self.a.venv, models, **options)

    def rounds(self):
        return range(self.a.rounds)


def spread(values, form="{:.1f}"):
    """Median (least to greatest)."""
    values = sorted(values)
    if not values:
        return "-"
    return f"{form.format(median(values))} ({form.format(values[0])} to {form.format(values[-1])})"


def table(head, rows):
    widths = [max(len(str(r[i])) for r in [head, *rows]) for i in range(len(head))]
    for r in [head, *rows]:
        print("  " + "  ".join(str(c).ljust(w) for c, w in zip(r, widths)).rstrip())
    sys.stdout.flush()


def of_takt(o):
    """A record of bench-load in the words that both share."""
    return {"n": o["n"], "on_time": 100 * o["on_time"] / max(1, o["n"]), "late_good": o["good_but_late"],
            "per_s": o["per_s"], "gap_ms": o["longest_gap_ms"], "refused": o["refusal_ms"]["n"],
            "refusal": o["refusal_ms"], "hopeless": o["refusal_since_hopeless_ms"], "latency": o["latency_ms"],
            "cpu_s": o["cpu_s"], "verdicts": o["verdicts"]}


def of_triton(o):
    return {"n": o["n"], "on_time": 100 * o["on_time"] / max(1, o["n"]), "late_good": o["late_ok"],
            "per_s": o["per_s"], "gap_ms": o["max_ok_gap_ms"], "refused": o["errors"],
            "refusal": {"p50": o["rej_p50_ms"], "p99": o["rej_p99_ms"], "p999": o["rej_max_ms"], "max": o["rej_max_ms"]},
            "latency": {"p50": o["p50_ms"], "p99": o["p99_ms"], "p999": o["p999_ms"], "max": o["max_ms"]},
            "cpu_s": o["cpu_s"], "codes": o["codes"]}


class Case:
    """Records of every contender and stream, in order."""

    def __init__(self):
        self.records = {}

    def add(self, name, outputs, read):
        for o in outputs:
            self.records.setdefault((name, o["name"]), []).append(read(o))

    def each(self, key, what, *inner):
        values = []
        for r in self.records[key]:
            v = r[what]
            for i in inner:
                v = v[i]
            values.append(v)
        return values

    def json(self):
        return [{"what": what, "stream": stream, "rounds": r} for (what, stream), r in self.records.items()]


def overload(run):
    """W1, W2, W8: five streams with deadline 33 ms on a 10 ms model, at 1.5, 1.0 and 0.8 of the device."""
    case, seconds = Case(), run.a.seconds
    loads = [("load 1.5", 30), ("load 1.0", 20), ("load 0.8", 16)]
    stream = {"count": 5, "deadline_ms": 33, "cost_ms": 10}
    for _ in run.rounds():
        with run.takt(Model("m10", FRAME, "10ms")) as t:
            for name, fps in loads:
                case.add("takt, " + name, t.load(dict(stream, name="5", model="m10", fps=fps), seconds=seconds), of_takt)
            case.add("takt, 4 in flight", t.load({"name": "capacity", "model": "m10", "outstanding": 4}, seconds=seconds), of_takt)
        if run.missing:
            continue
        with run.triton("none-10ms", "q22-10ms") as t:
            k = {"n": 5, "deadline_ms": 33, "name": "5"}
            case.add("Triton, no policy, load 1.5", t.load(dict(k, model="none-10ms", fps=30), seconds=seconds), of_triton)
            for name, fps in loads:
                case.add("Triton, queue timeout 22 ms, " + name, t.load(dict(k, model="q22-10ms", fps=fps), seconds=seconds),
                         of_triton)
            case.add("Triton, 4 in flight", t.load({"name": "capacity", "model": "none-10ms", "outstanding": 4},
                                                   seconds=seconds), of_triton)
    print("\nW1, W8: on time (answered at the client within 33 ms of when the frame was due)\n"
          "targets: load 1.5 >= 62 %, 1.0 >= 97 %, 0.8 100 %; nothing delivered as good after its deadline")
    bound = {who: median(case.each((who + ", 4 in flight", "capacity"), "per_s")) / 1.5
             for who in ("takt", "Triton") if (who + ", 4 in flight", "capacity") in case.records}
    for who, share in bound.items():
        print(f"  {who}: capacity {share * 1.5:.1f}/s, so at most {min(100, share):.1f} % at load 1.5")
    rows = [[what, spread(case.each((what, s), "on_time")) + " %", sum(case.each((what, s), "late_good")),
             spread(case.each((what, s), "latency", "p50"), "{:.2f}"), spread(case.each((what, s), "gap_ms"))]
            for what, s in case.records if s == "5"]
    table(["", "on time", "good but late", "OK p50 ms", "longest time without an OK ms"], rows)
    print("\nW2: when a frame that gets no result learns it, after it was due (and after its last chance to start, 23 ms)\n"
          "targets: p50 < 0.2 ms, p99 <= 2 ms, max <= one segment (10 ms)")
    rows = []
    for what, s in case.records:
        if s != "5" or not sum(case.each((what, s), "refused")):
            continue
        rows.append([what, sum(case.each((what, s), "refused"))] +
                    [spread(case.each((what, s), "refusal", q), "{:.2f}") for q in ("p50", "p99", "p999", "max")] +
                    ([spread(case.each((what, s), "hopeless", q), "{:.2f}") for q in ("p50", "p99", "max")]
                     if what.startswith("takt") else ["", "", ""]))
    table(["ms", "frames", "p50", "p99", "p99.9", "max", "since 23 ms: p50", "p99", "max"], rows)
    return case.json()


def hard_beside_soft(run):
    """W4: a hard stream of 30 fps and 10 ms beside a saturating model of 40 ms on the same device."""
    case, seconds = Case(), run.a.seconds
    for _ in run.rounds():
        with run.takt(Model("m10", FRAME, "10ms"), Model("m40", FRAME, "10ms", segments=4)) as t:
            case.add("takt, soft model cut in four", t.load(
                {"name": "hard", "model": "m10", "class": "hard", "fps": 30, "deadline_ms": 33},
                {"name": "soft", "model": "m40", "outstanding": 8, "deadline_ms": 1000}, seconds=seconds), of_takt)
        if run.missing:
            continue
        h = {"name": "hard", "fps": 30, "deadline_ms": 33}
        s = {"name": "soft", "outstanding": 8, "deadline_ms": 1000}
        with run.triton("hard-10ms-dev", "soft40-40ms-dev") as t:
            case.add("Triton", t.load(dict(h, model="hard-10ms-dev"), dict(s, model="soft40-40ms-dev"), seconds=seconds),
                     of_triton)
        with run.triton("hard-10ms-rl", "soft40-40ms-rl", extra=("--rate-limit=execution_count", "--rate-limit-resource=DEV:1")) as t:
            case.add("Triton, rate limiter 1:100", t.load(dict(h, model="hard-10ms-rl"), dict(s, model="soft40-40ms-rl"),
                                                          seconds=seconds), of_triton)
    print("\nW4: targets: hard 100 % on time, soft >= 16.7/s (the device has 17.5/s left)")
    table(["", "stream", "on time", "a second", "OK p50 ms", "p99 ms", "max ms"],
          [[what, s, spread(case.each((what, s), "on_time")) + " %", spread(case.each((what, s), "per_s"))] +
           [spread(case.each((what, s), "latency", q), "{:.2f}") for q in ("p50", "p99", "max")] for what, s in case.records])
    return case.json()


PLACEMENTS = [("server on CPU 0, client on CPU 1", 0, 1), ("all on CPU 0", 0, 0)]


def placements():
    return PLACEMENTS if os.cpu_count() > 1 else PLACEMENTS[1:]


def cpu_per_frame(run):
    """W7: CPU time of all processes for a 900 KB frame by shared memory, a model that does nothing, closed loop."""
    warm_up, seconds = 0.5, min(run.a.seconds, 3)
    rows, out = [], []
    for place, server, client in placements():
        case = Case()
        options = {"seconds": seconds, "warm_up": warm_up, "client_cpu": client}
        for _ in run.rounds():
            with run.takt(Model("null", FRAME, "1us"), pin=server, spin=True) as t:
                for n in (1, 8):
                    case.add(f"takt, {n} in flight", t.load({"name": "null", "model": "null", "outstanding": n}, **options), of_takt)
            if run.missing:
                continue
            with run.triton("null", "null-dyn", pin=server) as t:
                case.add("Triton, 1 in flight", t.load({"name": "null", "model": "null"}, **options), of_triton)
                case.add("Triton, 8 in flight", t.load({"name": "null", "model": "null", "outstanding": 8}, **options), of_triton)
                case.add("Triton with its batcher, 1 in flight", t.load({"name": "null", "model": "null-dyn"}, **options), of_triton)
        for what, s in case.records:
            cpu = [1e6 * r["cpu_s"] * seconds / (seconds + warm_up) / max(1, r["n"]) for r in case.records[what, s]]
            rows.append([place, what, spread(cpu)] + [spread([1e3 * v for v in case.each((what, s), "latency", q)])
                                                      for q in ("p50", "p99", "p999")] + [spread(case.each((what, s), "per_s"), "{:.0f}")])
        out.append({"placement": place, "records": case.json()})
    print("\nW7: CPU time a 900 KB frame, all processes, by shared memory; target <= 25 us")
    table(["", "", "CPU us a frame", "round trip p50 us", "p99", "p99.9", "frames a second"], rows)
    return out


def from_python(run):
    """W9: a frame from Python by shared memory and its answer, closed loop."""
    if subprocess.run([run.python, "-c", "import numpy"], capture_output=True).returncode != 0:
        print(f"\nW9: not measured: {run.python} has no numpy, which takt.py needs (give --venv)")
        return None
    rows, out, seconds = [], [], min(run.a.seconds, 3)
    for place, server, client in placements():
        results = {}
        for _ in run.rounds():
            with run.takt(Model("null", FRAME, "1us"), pin=server, spin=True) as t:
                o = subprocess.run(["taskset", "-c", str(client), run.python, os.path.join(SOURCES, "bench", "support", "python_frames.py"),
                                    t.socket, "null", str(seconds)], capture_output=True, text=True,
                                   env=dict(os.environ, PYTHONPATH=os.path.join(run.a.build, "lib")))
                if o.returncode != 0:
                    raise SystemExit("bench: takt.py failed: " + o.stderr[-500:])
                results.setdefault("takt.py", []).append(json.loads(o.stdout))
            if run.missing:
                continue
            with run.triton("null", pin=server) as t:
                o = t.python_client("null", FRAME, seconds, client_cpu=client)
                results.setdefault("tritonclient.grpc", []).append(
                    {"n": o["n"], "p50_us": o["p50_ms"] * 1e3, "p99_us": o["p99_ms"] * 1e3, "max_us": o["max_ms"] * 1e3})
        for what, r in results.items():
            rows.append([place, what, spread([x["p50_us"] for x in r]), spread([x["p99_us"] for x in r]),
                         spread([x["p999_us"] for x in r]) if "p999_us" in r[0] else "-"])
        out.append({"placement": place, "records": results})
    print("\nW9: a 900 KB frame from Python and its answer; target p50 <= 60 us")
    table(["", "", "p50 us", "p99", "p99.9"], rows)
    return out


CASES = {"overload": overload, "hard": hard_beside_soft, "cpu": cpu_per_frame, "python": from_python}


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; default: all")
    p.add_argument("--build", required=True, help="build folder, with bin/ and lib/")
    p.add_argument("--peers", help="folder with Triton's scripts: models.py, pyclient.py")
    p.add_argument("--peers-out", help="what its build.sh made: loadgen, backends/, tritonserver")
    p.add_argument("--venv", help="virtual environment with the nvidia-pytriton wheel")
    p.add_argument("--policy", help="another policy than configs/takt.xml names")
    p.add_argument("--rounds", type=int, default=7)
    p.add_argument("--seconds", type=float, default=5, help="of every measurement")
    p.add_argument("--json", help="also write every figure to this file")
    arguments = p.parse_args()
    if unknown := [c for c in arguments.cases if c not in CASES]:
        p.error(f"no case {unknown[0]}; there are {', '.join(CASES)}")
    run = Run(arguments)
    report = {"program": "beside", "machine": machine.describe(), "policy": run.policy, "rounds": run.a.rounds}
    machine.show(report["machine"])
    print(f"policy {run.policy}; median (least to greatest) of {run.a.rounds} rounds, in turn")
    if run.missing:
        print(f"Triton is not measured: {run.missing}")
    for name in run.a.cases or CASES:
        report[name] = CASES[name](run)
    report["load_after"] = machine.first_line("/proc/loadavg")
    machine.save(run.a.json, report)


if __name__ == "__main__":
    main()
