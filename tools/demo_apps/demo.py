#!/usr/bin/env python3
"""The demo: profiles the model, starts the service, runs applications through four phases, writes the result and a report.

Started by tools/demo, which builds what it needs. Only the standard library here; numpy in the Python application."""

import argparse
import json
import os
import pathlib
import shutil
import signal
import sys
import time

import load
import machine
import offline
import phases
import profiles
import report
import service

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = ROOT / "models" / "slim_resnet"
SAMPLE = ROOT / "tools" / "sample" / "cifar100-test-500.bin"
LEAST_SECONDS = 4


def parse_arguments():
    parser = argparse.ArgumentParser(prog="tools/demo", description="Shows takt at work on two cores and writes report.html.")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write the result here too")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "out" / "demo", metavar="DIR", help="default: out/demo")
    parser.add_argument("--seconds", type=int, default=20, metavar="N", help="length of each phase, default 20")
    parser.add_argument("--profile-seconds", type=int, default=45, metavar="N", help="time to aim at for the profile, default 45")
    parser.add_argument("--policy", default=service.POLICY, help=f"default {service.POLICY}")
    parser.add_argument("--keep", action="store_true", help="keep the frame logs and traces too; only the report needs them")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release", metavar="DIR",
                        help="default: build/release")
    options = parser.parse_args()
    if options.seconds < LEAST_SECONDS:
        parser.error(f"--seconds must be at least {LEAST_SECONDS}")
    return options


class Progress:
    """Lines with the time since the start."""

    def __init__(self):
        self.start = time.monotonic()

    def __call__(self, what):
        print(f"[{time.monotonic() - self.start:5.0f} s] {what}", flush=True)


def pick_cores():
    """Accelerator -> core: the first two that this process may use."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise RuntimeError("the demo needs two processor cores")
    return {f"cpu{i}": core for i, core in enumerate(cores[:2])}


def describe_phase(phase):
    parts = []
    for stream in phase["streams"]:
        on_time = stream["on_time"]
        parts.append(f"{stream['name']} {'-' if on_time is None else f'{100 * on_time:.1f}'}")
    return f"{phase['name']}: on time in %: " + ", ".join(parts)


def run_phases(stage, plan, nominal, seconds):
    """The three phases and the restart."""
    doubled = [s.at(2) for s in plan]
    done = []
    for name, run in (("nominal", lambda: phases.run(stage, "nominal", plan, seconds)),
                      ("overload", lambda: phases.run(stage, "overload", doubled, seconds)),
                      ("fault", lambda: phases.fault(stage, plan, seconds))):
        factor = 2 if name == "overload" else 1
        stage.say(f"{name}: {len(plan)} applications, load {nominal * factor:.2f}, {seconds} s ...")
        done.append(run() | {"load": round(nominal * factor, 3)})
        stage.say(describe_phase(done[-1]))
    recovery = done[-1]["recovery_ms"]
    stage.say("fault: the new executor gave no answer" if recovery is None else f"fault: recovered in {recovery:.0f} ms")
    stage.say(f"restart: taktd is killed under nominal load, {seconds} s ...")
    restart = phases.restart(stage, plan, seconds)
    first = restart["first_dispatch_ms"]
    stage.say(f"restart: first dispatch {'never' if first is None else f'{first:.0f} ms'} after its start, "
              f"{restart['resumed']} of {restart['streams_open']} streams resumed, "
              f"{restart['restarted']} frames answered restarted")
    return done, restart


def show(options, say):
    """Everything between the build and the result; returns the result."""
    accelerators = pick_cores()
    binaries, libraries = options.build / "bin", options.build / "lib"
    say(f"profiling the model on {', '.join(f'{n} (core {c})' for n, c in accelerators.items())} ...")
    files = profiles.measure(binaries, libraries, MODEL, accelerators, options.out / "profiles", options.profile_seconds, say)
    costs, subnets = [load.Costs(f) for f in files.values()], load.read_subnets(MODEL / "model.xml")
    plan = load.plan_streams(costs, subnets)
    nominal = load.load_of(plan, costs, subnets)
    running = service.Service(binaries, options.out, accelerators, MODEL, files, options.policy)
    try:
        wrong = running.check()
        if wrong:
            raise RuntimeError(f"taktd refuses the configuration: {wrong}")
        say("starting taktd and one executor a core ...")
        running.start()
        running.wait_until_up()
        stage = phases.Stage(running, binaries, libraries, SAMPLE, options.out, subnets, say)
        facts = machine.facts() | {"realtime": any(map(machine.has_realtime_thread, running.executor_pids().values()))}
        done, restart = run_phases(stage, plan, nominal, options.seconds)
    finally:
        running.close()
    say("comparing answers with takt-offline ...")
    agreement = offline.agreement(binaries, MODEL, SAMPLE, options.out, [p["name"] for p in done], say)
    return {"phases": done, "restart": restart, "machine": facts, "offline_agreement": agreement, "policy": options.policy,
            "load": load_facts(plan, costs, subnets, nominal), "model": model_facts(subnets)}


def load_facts(plan, costs, subnets, nominal):
    full = load.full_subnet(subnets)
    mean = lambda form: round(sum(c.of(full, form, alone=True) for c in costs) / len(costs) / 1e6, 3)
    base = load.load_of(load.base_streams(), costs, subnets)
    return {"target": load.TARGET, "nominal": round(nominal, 3), "base": round(base, 3),
            "full_width_ms": {form: mean(form) for form in sorted({load.form_of(s.picture) for s in plan})},
            "second_looks_assumed": load.SECOND_LOOKS, "streams": {s.name: s.fps for s in plan}}


def model_facts(subnets):
    full, narrow = load.full_subnet(subnets), load.narrow_subnet(subnets)
    return {"name": MODEL.name, "full": full.name, "full_accuracy": full.accuracy, "narrow": narrow.name,
            "narrow_accuracy": narrow.accuracy}


def write(result, options):
    text = json.dumps(result, indent=1) + "\n"
    (options.out / "demo.json").write_text(text, encoding="utf-8")
    if options.json:
        options.json.write_text(text, encoding="utf-8")
    (options.out / "report.html").write_text(report.render(result, options.out), encoding="utf-8")
    if not options.keep:
        for name in ("nominal", "overload", "fault", "restart"):
            shutil.rmtree(options.out / name, ignore_errors=True)
        (options.out / "trace-live.csv").unlink(missing_ok=True)


def main():
    options = parse_arguments()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything started is ended on the way out
    machine.adopt_orphans()
    say = Progress()
    try:
        result = show(options, say)
        write(result, options)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except RuntimeError as error:
        print(f"tools/demo: {error}", file=sys.stderr)
        return 1
    under = [f"{p['name']} {s['name']}" for p in result["phases"] for s in report.missed_targets(p)]
    say("every stream met its target" if not under else f"under target: {', '.join(under)}")
    say(f"report: {options.out / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
