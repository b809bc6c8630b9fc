#!/usr/bin/env python3
"""What does posting segments ahead cost in quality: hit rate and UXCost on the five scenarios of SDRM3?

Runs takt-sim with 0, 1 and 2 segments posted ahead on the scenarios' own platforms, with clocks that give the loads asked for.
Virtual time: the same figures on every machine.
"""
import argparse
import json
import math
import pathlib
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml

ROOT = pathlib.Path(__file__).resolve().parent.parent
SCENARIOS = ["vr_gaming", "ar_call", "drone_outdoor", "drone_indoor", "ar_social"]
POLICIES = ["reserve+drop", "edf+drop", "sdrm3:full", "takt"]


def run(program, scenario, policy, seed, ahead, duration):
    command = [program, "run", "--scenario", scenario, "--policy", policy, "--seed", seed, "--ahead", ahead, "--duration", duration]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"ahead: {done.stderr.strip()}")
    return json.loads(done.stdout)


def at_load(program, name, load, folder):
    """The scenario with all clocks scaled: time is cycles over clock, so the load is that at 1 GHz over the clock."""
    source = ROOT / "configs" / "scenarios" / f"{name}.xml"
    light = run(program, source, "edf", 1, 0, "100ms")["load"]
    tree = xml.parse(source)
    for accelerator in tree.getroot().iter("accelerator"):
        accelerator.set("clock_ghz", f"{light / load:.6f}")
    path = pathlib.Path(folder) / f"{name}-{load}.xml"
    tree.write(path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path, help="build folder with bin/takt-sim")
    parser.add_argument("--policy", nargs="+", default=POLICIES)
    parser.add_argument("--load", nargs="+", type=float, default=[0.3, 0.5, 0.7])
    parser.add_argument("--seed", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--duration", default="10s")
    options = parser.parse_args()
    program = options.build / "bin" / "takt-sim"
    print(f"{'policy':<14}{'load':>6}" + "".join(f"{f'hit rate, {a} ahead':>20}" for a in range(3))
          + "".join(f"{f'UXCost, {a} ahead':>18}" for a in range(3)))
    with tempfile.TemporaryDirectory() as folder:
        for load in options.load:
            paths = [at_load(program, name, load, folder) for name in SCENARIOS]
            for policy in options.policy:
                hits, costs = [], []
                for ahead in range(3):
                    results = [run(program, p, policy, s, ahead, options.duration) for p in paths for s in options.seed]
                    hits.append(sum(r["sla"] for r in results) / len(results))
                    costs.append(math.exp(sum(math.log(r["uxcost"]) for r in results) / len(results)))
                print(f"{policy:<14}{load:>6}" + "".join(f"{h:>20.2%}" for h in hits) + "".join(f"{c:>18.4f}" for c in costs), flush=True)


if __name__ == "__main__":
    main()
