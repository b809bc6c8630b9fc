#!/usr/bin/env python3
"""Writes report.html from a demo's output folder: one file, nothing external. Usage: report.py FOLDER"""

import html
import json
import pathlib
import sys

import answers
import charts
from charts import duration, percent

TARGETS = {"hard": 0.99, "soft": 0.97}
WINDOW_NS = 250_000_000

STYLE = """
:root{color-scheme:light}*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1b1f24;font:14px/1.45 system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 20px 48px}
svg text{font-family:inherit}svg{display:block;max-width:100%;height:auto}
h1{font-size:26px;margin:0 0 2px;letter-spacing:-.01em}h2{font-size:18px;margin:38px 0 2px}
h3{font-size:13px;margin:18px 0 4px;font-weight:600}
p{margin:0 0 8px;max-width:150ch}.quiet{color:#5b6470}.small{font-size:12px}
.cards{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:14px;margin-top:18px}
.card{border:1px solid #c9ced6;border-top:4px solid #1b1f24;border-radius:4px;padding:12px 14px 10px}
.card h2{font-size:16px;margin:0}.card .what{color:#5b6470;font-size:12px;min-height:36px}
.badge{font-weight:600;font-size:13px}.met{color:#0a6b4b}.unmet{color:#a4133c}
.big{display:flex;gap:14px;margin:8px 0 6px}.big div{flex:1}
.big b{display:block;font-size:25px;line-height:1.1;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums;white-space:nowrap}
.big span{font-size:12px;color:#5b6470}
.rows{width:100%;border-collapse:collapse;font-size:12px}.rows td{padding:2px 0;border-top:1px solid #e8ebef}
.rows td:last-child{text-align:right;white-space:nowrap;padding-left:6px;font-variant-numeric:tabular-nums}
.dot{display:inline-block;width:9px;height:9px;border-radius:2px;margin-right:6px}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:12px;margin:6px 0 8px}
.grid4{display:grid;grid-template-columns:repeat(4,minmax(0,1fr));gap:12px}
.by-phase{display:grid;grid-template-columns:112px repeat(3,1fr);gap:6px 18px;align-items:center}
.by-phase .head{font-weight:600;font-size:13px}.names{font-size:12px;padding-top:2px;align-self:start}.names div{height:18px;line-height:15px}
table.full{border-collapse:collapse;width:100%;font-size:12.5px;font-variant-numeric:tabular-nums}
table.full th{text-align:right;font-weight:600;color:#5b6470;padding:4px 7px;border-bottom:1px solid #c9ced6;white-space:nowrap}
table.full td{text-align:right;padding:3px 7px;border-bottom:1px solid #e8ebef;white-space:nowrap}
table.full td:first-child,table.full th:first-child{text-align:left}
table.full tr.phase td{font-weight:600;padding-top:12px;border-bottom:1px solid #c9ced6}
"""


def esc(value):
    return html.escape(str(value))


def pooled(phase, criticality):
    """On-time share over all frames of the class."""
    streams = [s for s in phase["streams"] if s["class"] == criticality]
    return answers.share(sum(s["verdicts"]["done"] for s in streams), sum(s["submitted"] for s in streams))


def missed_targets(phase):
    """The streams under their target; a stream without frames misses nothing."""
    return [s for s in phase["streams"] if s["on_time"] is not None and s["on_time"] < TARGETS.get(s["class"], 0)]


def dot(colour):
    return f'<span class="dot" style="background:{colour}"></span>'


def what_of(phase):
    load = f"{phase['load']:.2f} of what the profile says fits" if phase.get("load") else ""
    more = {"nominal": "every stream at its own rate", "overload": "every rate doubled",
            "fault": f"{phase.get('killed_accelerator', 'one accelerator')}'s executor killed in the middle"}[phase["name"]]
    return f"{more}; load {load}, {phase['seconds']:g} s"


def under_target(streams):
    return esc(streams[0]["name"]) if len(streams) == 1 else f"{len(streams)} streams"


def phase_card(phase):
    missed = missed_targets(phase)
    badge = ('<span class="badge met">\u2713 targets met</span>' if not missed else
             f'<span class="badge unmet">\u2717 {under_target(missed)} under target</span>')
    big = "".join(f"<div><b>{percent(pooled(phase, c))}</b><span>{c} on time<br>target {percent(TARGETS[c], 0)}</span></div>"
                  for c in ("hard", "soft"))
    rows = "".join(f"<tr><td>{dot(charts.colour_of(s['name']))}{esc(s['name'])}, {s['fps']:.3g}/s</td>"
                   f"<td>{percent(s['on_time'])}</td></tr>" for s in phase["streams"])
    if "recovery_ms" in phase:
        rows += fault_rows(phase)
    return (f'<div class="card"><h2>{esc(phase["name"])}</h2><div class="what">{esc(what_of(phase))}</div>{badge}'
            f'<div class="big">{big}</div><table class="rows">{rows}</table></div>')


def fault_rows(phase):
    recovery = "not in this phase" if phase["recovery_ms"] is None else duration(phase["recovery_ms"] * 1e6)
    errors = sum(s["verdicts"]["error"] for s in phase["streams"])
    once = "every frame" if all(s["answered_once"] for s in phase["streams"]) else "NOT every frame"
    return (f"<tr><td>kill to first new answer</td><td><b>{recovery}</b></td></tr>"
            f"<tr><td>answered <i>error</i></td><td>{errors}</td></tr><tr><td>answered exactly once</td><td>{once}</td></tr>")


def restart_card(restart):
    if not restart:
        return ""
    good = restart["executors_kept"] and restart["answered_once"] and restart["resumed"] == restart["streams_open"]
    badge = ('<span class="badge met">\u2713 sessions resumed</span>' if good else
             '<span class="badge unmet">\u2717 not everything resumed</span>')
    rows = [("broker down for", duration(restart["down_ms"] * 1e6)),
            ("executors kept running", "yes" if restart["executors_kept"] else "NO"),
            ("streams resumed", f"{restart['resumed']} of {restart['streams_open']}"),
            ("answered <i>restarted</i>", restart["restarted"]),
            ("answered exactly once", "every frame" if restart["answered_once"] else "NOT every frame"),
            ("frames without a broker", restart["disconnected"])]
    first = "-" if restart["first_dispatch_ms"] is None else duration(restart["first_dispatch_ms"] * 1e6)
    return (f'<div class="card"><h2>restart</h2><div class="what">the broker killed with SIGKILL under nominal load and started '
            f'again, {restart["seconds"]:g} s</div>{badge}<div class="big"><div><b>{first}</b>'
            f"<span>start to first dispatch</span></div></div><table class=\"rows\">"
            + "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in rows) + "</table></div>")


def header(result):
    machine, model = result["machine"], result.get("model", {})
    facts = [machine.get("cpu"), f"{machine.get('cores')} cores", machine.get("os"), machine.get("kernel"), machine.get("date")]
    service = [f"model {model.get('name')}", f"policy {result.get('policy')}",
               "two CPU accelerators, one core and one process each",
               "real-time priorities granted" if machine.get("realtime") else "without real-time priorities (degraded)"]
    lines = ["; ".join(str(f) for f in some if f) for some in (facts, service)]
    return ("<h1>takt: what happened to the frames</h1>"
            f'<p class="quiet">{esc(lines[0])}<br>{esc(lines[1])}</p>'
            f'<div class="cards">{"".join(phase_card(p) for p in result["phases"])}{restart_card(result.get("restart"))}</div>')


def accelerator_names(boxes, fallback):
    names = sorted({b.accelerator for b in boxes if b.accelerator not in ("-", "")})
    return names or fallback


def window_of(phase, span):
    """A stretch that shows the phase: from before the kill until after the recovery, else from the middle."""
    killed = phase.get("killed_ns")
    if killed:
        recovery = (phase.get("recovery_ms") or 0) * 1e6
        return killed - 100_000_000, killed + int(min(max(WINDOW_NS - 1e8, recovery + 1.5e8), 3e9))
    middle = (span[0] + span[1]) // 2
    return middle, min(middle + WINDOW_NS, span[1])


def timelines(result, folder):
    names = [s["name"] for s in result["phases"][0]["streams"]]
    kinds = [n for n in names if n in charts.STREAM_COLOURS]
    legend = "".join(f"<span>{dot(charts.colour_of(k))}{esc(k)}{' (all clients)' if k == 'soft' else ''}</span>" for k in kinds)
    parts = ["<h2>What the accelerators ran</h2>",
             '<p class="quiet">Each box is one segment of one frame; hard segments are drawn over the soft ones that they '
             f'interrupt. Point at a box for its details.</p><div class="legend">{legend}</div>']
    for phase in result["phases"]:
        span = (phase["started_ns"], phase["started_ns"] + int(phase["seconds"] * 1e9))
        with open(folder / phase["name"] / "trace.csv", encoding="utf-8") as trace:
            boxes, events = answers.read_trace(trace, *span)
        kill = (phase["killed_ns"], phase["killed_accelerator"]) if phase.get("killed_ns") else None
        window = window_of(phase, span)
        length = (window[1] - window[0]) / 1e6
        parts.append(f"<h3>{esc(phase['name'])}: {length:.0f} ms of {phase['seconds']:g} s</h3>")
        parts.append(charts.timeline(boxes, accelerator_names(boxes, ["cpu0", "cpu1"]), window, span, kill=kill, events=events))
    return "".join(parts)


def latencies(result, logs):
    names = [n for n in ("hard", "soft", "cascade", "cascade-full") if n in logs["nominal"]]
    parts = ["<h2>How rare is how slow</h2>",
             '<p class="quiet">Share of answers that took longer than the time below, from the submit to the broker\u2019s '
             "answer. Frames without a result (missed, dropped) are in the table at the end. The deadline of a hard frame that comes "
             "sooner after the one before than its stream declared counts from when it was due to come.</p>",
             '<div class="legend">' + "".join(f"<span>{dot(charts.PHASE_COLOURS[p['name']])}{p['name']}</span>"
                                              for p in result["phases"]) + '</div><div class="grid4">']
    for name in names:
        curves = {phase: sorted(f["latency_ns"] for f in streams[name].frames if answers.with_result(f))
                  for phase, streams in logs.items() if name in streams}
        if any(curves.values()):
            deadline = logs["nominal"][name].deadline_ns
            parts.append(f"<div><h3>{dot(charts.colour_of(name))}{esc(name)}</h3>{charts.tail(curves, deadline)}</div>")
    return "".join(parts) + "</div>"


def by_second(result, logs):
    names = [s["name"] for s in result["phases"][0]["streams"]]
    labels = "".join(f"<div>{dot(charts.colour_of(n))}{esc(n)}</div>" for n in names)
    parts = ["<h2>On time, second by second</h2>",
             '<p class="quiet">A pale cell: every frame due in that second was answered in time. The darker, the more were '
             "not.</p>",
             '<div class="by-phase"><div></div>'] + [f'<div class="head">{esc(p["name"])}</div>' for p in result["phases"]]
    parts.append(f'<div class="names">{labels}</div>')
    for phase in result["phases"]:
        streams = logs[phase["name"]]
        rows = {n: answers.on_time_by_second(streams[n], phase["started_ns"], phase["seconds"]) for n in names if n in streams}
        kill = (phase["killed_ns"] - phase["started_ns"]) / 1e9 if phase.get("killed_ns") else None
        parts.append(f"<div>{charts.heat(rows, phase['seconds'], kill)}</div>")
    return "".join(parts) + "</div>"


def merged(phase, kind, what):
    """Counts of answers by `what` (subnets, batches); soft is all of its clients."""
    total = {}
    for stream in phase["streams"]:
        if stream["name"] == kind or (kind == "soft" and stream["name"].startswith("soft-")):
            for name, count in stream[what].items():
                total[name] = total.get(name, 0) + count
    return total


def bars(result, what, bar, colours, labels):
    """A legend, then one bar a kind of stream and phase."""
    kinds = [s["name"] for s in result["phases"][0]["streams"] if s["name"] in charts.STREAM_COLOURS]
    legend = "".join(f"<span>{dot(colour)}{label}</span>" for colour, label in zip(colours, labels))
    parts = [f'<div class="legend">{legend}</div><div class="by-phase"><div></div>']
    parts += [f'<div class="head">{esc(p["name"])}</div>' for p in result["phases"]]
    for kind in kinds:
        label = "soft (all)" if kind == "soft" else kind
        parts.append(f'<div class="small">{dot(charts.colour_of(kind))}{esc(label)}</div>')
        parts += [f"<div>{bar(merged(p, kind, what))}</div>" for p in result["phases"]]
    return "".join(parts) + "</div>"


def fitting(result):
    widths = bars(result, "subnets", charts.subnet_bar, charts.WIDTH_COLOURS, [label for _, label in charts.WIDTH_BANDS])
    batches = bars(result, "batches", charts.batch_bar, charts.BATCH_COLOURS, [label for _, label in charts.BATCH_BANDS[::-1]])
    return ("<h2>How the frames were made to fit</h2>"
            '<p class="quiet">The load above counts frames at full width: soft ones in full batches, hard ones alone. Frames '
            "that wait for the same segment share a batch; when not all that waits can be in time so, soft frames get a lighter "
            f"subnet. Hard streams keep the subnet they were admitted with.</p><h3>Mean width of the subnet that answered</h3>{widths}"
            f"<h3>Largest batch that the frame was part of</h3>{batches}")


def verdict_text(verdicts):
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in verdicts.items() if count and name != "done") or "-"


def table(result):
    head = ("stream", "frames", "done", "not done", "on time", "top-1 right", "p50", "p95", "p99", "max")
    parts = ["<h2>All numbers</h2>", f'<p class="quiet">{agreement(result)}</p>', '<table class="full"><tr>',
             "".join(f"<th>{h}</th>" for h in head), "</tr>"]
    for phase in result["phases"]:
        parts.append(f'<tr class="phase"><td colspan="{len(head)}">{esc(phase["name"])}</td></tr>')
        for s in phase["streams"]:
            late = s["latency_ns"]
            cells = [dot(charts.colour_of(s["name"])) + esc(s["name"]), s["submitted"], s["verdicts"]["done"],
                     verdict_text(s["verdicts"]), percent(s["on_time"], 2), percent(s["accuracy"])]
            cells += [duration(late[q]) for q in ("p50", "p95", "p99", "max")]
            parts.append("<tr>" + "".join(f"<td>{c}</td>" for c in cells) + "</tr>")
    return "".join(parts) + "</table>"


def agreement(result):
    text = ("Latencies are of answers with a result. <i>Top-1 right</i> compares the answers with the labels of 500 CIFAR-100 test "
            "pictures (A. Krizhevsky, 2009), too few for more than a check.")
    offline = result.get("offline_agreement")
    if offline and offline.get("compared"):
        text += (f" {percent(offline['share'], 2)} of {offline['compared']:,} answers have the same top-1 as takt-offline, which "
                 "runs the same subnet on the same picture without the service.")
    return text


def render(result, folder):
    """The report of a result and the folder with its logs, as HTML text."""
    folder = pathlib.Path(folder)
    logs = {phase["name"]: answers.read_logs(folder / phase["name"]) for phase in result["phases"]}
    body = [header(result), timelines(result, folder), by_second(result, logs), latencies(result, logs), fitting(result),
            table(result)]
    return ('<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>takt demo</title><style>{STYLE}</style><main>{''.join(body)}</main></html>\n")


def main():
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 64
    folder = pathlib.Path(sys.argv[1])
    result = json.loads((folder / "demo.json").read_text(encoding="utf-8"))
    (folder / "report.html").write_text(render(result, folder), encoding="utf-8")
    print(folder / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
