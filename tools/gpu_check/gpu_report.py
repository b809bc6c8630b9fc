#!/usr/bin/env python3
"""The report of tools/gpu-check: report.txt for people, report.json, figures/*.svg. Usage: gpu_report.py FOLDER
(a folder with the state.json, bench/*.json and logs/ of a run)"""

import json
import pathlib
import re
import sys

import gpu_figures

MARKS = {"passed": "ok", "failed": "FAILED", "timeout": "FAILED", "skipped": "skipped", "not run": "not run"}


def load(path):
    try:
        return json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def collect(folder):
    """Everything that is known so far, as it stands in report.json."""
    folder = pathlib.Path(folder)
    state = load(folder / "state.json") or {}
    benches = []
    for name, result in state.get("bench", {}).items():
        measured = load(folder / "bench" / f"{name}.json") if result["status"] == "passed" else None
        benches.append({"name": name} | result | {"measured": measured})
    tests = [{"name": name} | result for name, result in state.get("tests", {}).items()]
    targets = [target | {"bench": bench["name"], "met": is_met(target)}
               for bench in benches for target in (bench["measured"] or {}).get("targets", [])]
    return {"machine": state.get("machine", {}), "build": state.get("build"), "tests": tests, "bench": benches,
            "train": state.get("train"), "targets": targets, "complete": is_complete(state)}


def is_met(target):
    """A value at its limit meets it."""
    return target["value"] >= target["limit"] if target.get("at_least") else target["value"] <= target["limit"]


def is_complete(state):
    """Whether there is a build and everything of it was run, whatever came of it."""
    results = list(state.get("tests", {}).values()) + list(state.get("bench", {}).values())
    return state.get("build", {}).get("status") == "passed" and bool(results) and all(r["status"] != "not run" for r in results)


def count(results):
    """ "3 ok, 1 FAILED" """
    if not results:
        return "none"
    marks = [MARKS[result["status"]] for result in results]
    return ", ".join(f"{marks.count(mark)} {mark}" for mark in dict.fromkeys(MARKS.values()) if mark in marks)


def heading(title):
    return ["", title, "-" * len(title)]


def head_lines(report):
    m = report["machine"]
    lines = ["takt on a GPU", "============="]
    if not m:
        return lines + ["nothing was run yet"]
    lines += [f"gpu       {', '.join(m['gpus'])}"]
    lines += [f"          {row}" for row in m["nvidia_smi"]["rows"]]
    lines += [f"libtorch  {m['torch']}", f"cpu       {m['cpu']}, {m['cores']} cores, {m['kernel']}, load average {m['load']}",
              f"commit    {m['commit']}", f"date      {m['date']}"]
    if not report["complete"]:
        lines += ["", "NOT COMPLETE: some of it was not run; run tools/gpu-check again, it goes on where it stopped"]
    return lines


def result_lines(results, what):
    lines = heading(f"{what}: {count(results)}")
    if not results:
        return lines
    wide = max(len(result["name"]) for result in results)
    for result in results:
        more = f"  {result['why']}" if result.get("why") else ""
        lines.append(f"{result['name']:<{wide}}  {MARKS[result['status']]:<8} {result.get('seconds', 0):7.1f} s{more}")
    return lines


def target_lines(targets):
    if not targets:
        return []
    lines = heading(f"targets: {sum(t['met'] for t in targets)} of {len(targets)} met")
    for t in targets:
        sign = ">=" if t.get("at_least") else "<="
        lines.append(f"{'met   ' if t['met'] else 'MISSED'}  {t['name']:<8} {t['value']:.4g} {t.get('unit', '')} "
                     f"({sign} {t['limit']:.4g})  {t.get('what', '')}".rstrip())
    return lines


def shorten(text, most=60):
    lines = text.rstrip().splitlines()
    return lines if len(lines) <= most else ["..."] + lines[-most:]


def log_lines(folder, results, kind):
    """What a program printed: of benchmarks all, of tests that failed the end."""
    lines = []
    for result in results:
        log = pathlib.Path(folder) / "logs" / f"{result['name']}.txt"
        if log.exists() and (kind == "bench" or MARKS[result["status"]] == "FAILED"):
            lines += heading(result["name"])
            lines += shorten(log.read_text(encoding="utf-8", errors="replace"), 400 if kind == "bench" else 60)
    return lines


def text_of(report, folder):
    lines = head_lines(report)
    if report["build"]:
        lines += heading(f"build: {MARKS[report['build']['status']]}, {report['build'].get('seconds', 0):.0f} s")
        lines += [report["build"].get("why", "")] if report["build"].get("why") else []
    lines += result_lines(report["tests"], "tests") + result_lines(report["bench"], "benchmarks")
    lines += target_lines(report["targets"])
    if report["train"]:
        lines += heading(f"training: {MARKS[report['train']['status']]}, {report['train'].get('seconds', 0):.0f} s")
    lines += log_lines(folder, report["tests"], "tests") + log_lines(folder, report["bench"], "bench")
    return "\n".join(lines) + "\n"


def draw_figures(report, folder):
    """Writes every figure; returns the names of the files."""
    written = []
    for bench in report["bench"]:
        for index, figure in enumerate((bench["measured"] or {}).get("figures", [])):
            image = gpu_figures.draw(figure)
            if image:
                title = re.sub(r"[^a-z0-9]+", "-", figure["title"].lower()).strip("-")[:60] or str(index)
                name = f"{bench['name'].removeprefix('bench-')}-{title}.svg"
                (folder / "figures").mkdir(exist_ok=True)
                (folder / "figures" / name).write_text(image, encoding="utf-8")
                written.append(f"figures/{name}")
    return written


def write(folder):
    """The whole report into `folder`; returns what is in report.json."""
    folder = pathlib.Path(folder)
    report = collect(folder)
    report["figures"] = draw_figures(report, folder)
    (folder / "report.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "report.txt").write_text(text_of(report, folder), encoding="utf-8")
    return report


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(sys.argv[1])
