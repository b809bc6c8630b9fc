#!/usr/bin/env python3
"""tools/gpu-check: takt on a machine with a GPU, from the build to a report, in steps that can be resumed."""

import argparse
import pathlib
import sys

import gpu_device
import gpu_report
import gpu_steps
import gpu_targets

EPILOG = """Steps: build (with a bundle's packages, or a bundle's programs are put in place), test (all with label gpu),
bench (every bench-gpu-* program), train (takt-train slim --device cuda; only when asked for, with --data; what
follows -- is passed on). A call leaves out what has passed; run it again after it was stopped or its time ended.
OUT/report.txt, report.json and figures/*.svg are written anew after every step.
Exit status: 0 all was run and passed; 1 something failed; 75 the time ended, run it again; 77 no GPU or no libtorch here."""


def parse(arguments):
    parser = argparse.ArgumentParser(prog="tools/gpu-check", epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     description="Runs takt's GPU tests and benchmarks and writes a report. Needs no network.")
    parser.add_argument("--step", action="append", choices=("build", "test", "bench", "train"),
                        help="only this one; may be repeated; without it build, test and bench")
    parser.add_argument("--bundle", help="folder of tools/bundle-deps; without it the packages of this machine are used")
    parser.add_argument("--out", default="out/gpu", help="folder of the report and of what was done (%(default)s)")
    parser.add_argument("--torch", help="a torch/ folder with CUDA; without it TAKT_TORCH_ROOT, then that of python3")
    parser.add_argument("--minutes", type=float, default=25,
                        help="of this call; what runs then is ended and comes first next time (%(default)s)")
    parser.add_argument("--label", default=gpu_targets.LABEL, help="the tests to run (%(default)s)")
    parser.add_argument("--data", help="CIFAR-100's binary records, for train")
    own, more = (arguments, []) if "--" not in arguments else (arguments[:arguments.index("--")],
                                                               arguments[arguments.index("--") + 1:])
    options = parser.parse_args(own)
    options.step = options.step or ["build", "test", "bench"]
    if "train" in options.step and not options.data:
        parser.error("--step train needs --data")
    return options, more


def summary(run, report):
    """The last line and the exit status."""
    results = report["tests"] + report["bench"] + [r for r in (report["build"], report["train"]) if r]
    failed = [r for r in results if gpu_report.MARKS[r["status"]] == "FAILED"]
    waiting = [r for r in results if r["status"] == "not run"]
    print(f"tools/gpu-check: tests: {gpu_report.count(report['tests'])}; benchmarks: {gpu_report.count(report['bench'])}; "
          f"targets met: {sum(t['met'] for t in report['targets'])} of {len(report['targets'])}; {run.out}/report.txt")
    return 1 if failed else 75 if waiting else 0


def main(arguments):
    options, more = parse(arguments)
    try:
        gpus, driver_folder = gpu_device.find_gpus()
        torch = gpu_device.find_torch(options.torch)
        run = gpu_steps.Run(options.out, torch, driver_folder, options.bundle, options.minutes, options.label)
    except gpu_device.Missing as why:
        print(f"tools/gpu-check: stops: {why}", file=sys.stderr)
        return 77
    run.state["machine"] = gpu_device.describe(gpus, torch, gpu_steps.SOURCE)
    print(f"tools/gpu-check: {', '.join(gpus)}; libtorch {run.state['machine']['torch']} in {torch}", flush=True)
    if not go(run, options, more):
        print(f"tools/gpu-check: no build: {run.state['build'].get('why', '')}; {run.out}/logs", file=sys.stderr)
    return summary(run, gpu_report.write(run.out))


def go(run, options, more):
    """The steps in their order, a report after each; False if there is no build to test."""
    if "build" in options.step or run.state.get("build", {}).get("status") != "passed":
        if not gpu_steps.build(run):
            return False
    for name, step in (("test", lambda: gpu_steps.test(run)), ("bench", lambda: gpu_steps.bench(run)),
                       ("train", lambda: gpu_steps.train(run, pathlib.Path(options.data).absolute(), more))):
        if name in options.step:
            step()
            gpu_report.write(run.out)
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
