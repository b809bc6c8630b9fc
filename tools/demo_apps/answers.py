"""What happened to the frames: reads the applications' JSON lines and the service's trace, and counts."""

import collections
import dataclasses
import json
import math
import pathlib

# Every verdict of takt.h, then what can happen to a frame that the broker never accepted or never answered.
VERDICTS = ("done", "late", "missed", "dropped", "superseded", "cancelled", "restarted", "error")
UNANSWERED = ("no_credit", "disconnected", "refused", "unanswered")
FULL_WIDTH = "1.0-1.0-1.0-1.0"


@dataclasses.dataclass
class Stream:
    """One stream of one phase. `frames` are the dictionaries of the log, one a frame."""

    name: str
    criticality: str
    fps: float
    deadline_ns: int
    admission: dict = dataclasses.field(default_factory=dict)
    frames: list = dataclasses.field(default_factory=list)
    strays: int = 0
    reconnects: int = 0
    disconnected_ns: int = 0


@dataclasses.dataclass
class Box:
    """One segment of one job on an accelerator."""

    start_ns: int
    end_ns: int
    stream: str
    segment: int
    accelerator: str
    subnet: str


def read_log(path):
    """The streams of one log, by name. A line that was cut off at the end of a killed application is ignored."""
    streams = {}
    first = None
    for line in pathlib.Path(path).read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry.get("event") == "open":
            name = entry["stream"]
            streams[name] = Stream(name, entry["class"], entry["fps"], entry["deadline_ns"], entry)
            first = first or streams[name]
            continue
        stream = streams.get(entry.get("stream"), first)
        if stream is None:
            continue
        if entry.get("event") == "stray":
            stream.strays += 1
        elif entry.get("event") == "close":
            stream.reconnects = entry["reconnects"]
            stream.disconnected_ns = entry["disconnected_ns"]
        else:
            stream.frames.append(entry)
    return streams


def read_logs(folder):
    """The streams of every *.jsonl in the folder of a phase."""
    streams = {}
    for path in sorted(pathlib.Path(folder).glob("*.jsonl")):
        streams.update(read_log(path))
    return streams


def percentile(ordered, q):
    """The ceil(q n)-th of n ascending values; 0 of none."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)]


def spread(values):
    ordered = sorted(values)
    return {"p50": percentile(ordered, 0.5), "p95": percentile(ordered, 0.95), "p99": percentile(ordered, 0.99),
            "max": ordered[-1] if ordered else 0}


def share(part, whole):
    return part / whole if whole else None


def with_result(frame):
    return frame["verdict"] in ("done", "late") and frame.get("top1", -1) >= 0


def count_verdicts(frames):
    """All verdicts and no_credit, zeros included; the other ways to get no answer only if they occurred."""
    counted = collections.Counter(frame["verdict"] for frame in frames)
    always = VERDICTS + ("no_credit",)
    return {name: counted[name] for name in always} | {n: counted[n] for n in UNANSWERED if counted[n] and n not in always}


def summarise(stream):
    """A stream as the result file shows it; what counts answers is 0 if there are none. Latencies count from the submit to
    the broker's answer, over answers with a result; `latency_seen_ns` until the application had the answer."""
    frames = stream.frames
    answered = [f for f in frames if with_result(f)]
    verdicts = count_verdicts(frames)
    return {
        "name": stream.name, "class": stream.criticality, "fps": stream.fps, "deadline_ns": stream.deadline_ns,
        "submitted": len(frames), "verdicts": verdicts,
        "on_time": share(verdicts["done"], len(frames)),
        "accuracy": share(sum(f["top1"] == f["label"] for f in answered), len(answered)) or 0.0,
        "latency_ns": spread(f["latency_ns"] for f in answered),
        "latency_seen_ns": spread(f["seen_ns"] for f in answered),
        "late_submit_ns": spread(f["submitted_ns"] - f["due_ns"] for f in frames if f.get("due_ns")),
        "subnets": dict(collections.Counter(f["subnet"] for f in answered).most_common()),
        "batches": dict(sorted(collections.Counter(f.get("batch", 1) for f in answered).items())),
        "admission": {k: stream.admission.get(k) for k in ("admission", "bound_ns", "subnet", "accelerator")},
        "answered_once": answered_once(stream), "reconnects": stream.reconnects,
    }


def answered_once(stream):
    """Whether every accepted frame got exactly one verdict."""
    tags = [f["tag"] for f in stream.frames]
    return stream.strays == 0 and len(set(tags)) == len(tags) and all(f["verdict"] != "unanswered" for f in stream.frames)


def recovery_ms(frames, accelerator, killed_ns):
    """From the kill to the first answer that was begun after it and ended on that accelerator; None if there is none."""
    ends = [f["end_ns"] for f in frames
            if with_result(f) and f["accelerator"] == accelerator and f["start_ns"] > killed_ns]
    return (min(ends) - killed_ns) / 1e6 if ends else None


def on_time_by_second(stream, started_ns, seconds):
    """(done, submitted) of the frames due in each second of the phase."""
    bins = [[0, 0] for _ in range(math.ceil(seconds))]
    for frame in stream.frames:
        second = (frame.get("due_ns", frame["submitted_ns"]) - started_ns) // 1_000_000_000
        if 0 <= second < len(bins):
            bins[second][0] += frame["verdict"] == "done"
            bins[second][1] += 1
    return bins


def mean_width(subnet):
    """The mean width of a subnet named by its widths; None of another name."""
    try:
        widths = [float(part) for part in subnet.split("-")]
    except ValueError:
        return None
    return sum(widths) / len(widths)


def read_trace(lines, started_ns, ended_ns):
    """(boxes, events) of trace lines `time_ns,kind,task,frame,segment,accelerator,subnet` within a span of time; events
    are (time_ns, kind, accelerator) of accelerators that went down or came up. What was running when its accelerator
    went down ends there."""
    running, boxes, events = {}, [], []
    for line in lines:
        parts = line.rstrip("\n").split(",")
        if len(parts) < 7 or not parts[0].isdigit():
            continue
        time_ns, kind, task, frame, segment, accelerator, subnet = int(parts[0]), *parts[1:7]
        if kind in ("up", "down"):
            if kind == "down":
                for key in [k for k, box in running.items() if box.accelerator == accelerator]:
                    boxes.append(dataclasses.replace(running.pop(key), end_ns=time_ns))
            events.append((time_ns, kind, accelerator))
        elif kind == "start":
            running[task, frame, segment] = Box(time_ns, time_ns, task, int(segment), accelerator, subnet)
        elif kind == "end" and (task, frame, segment) in running:
            boxes.append(dataclasses.replace(running.pop((task, frame, segment)), end_ns=time_ns))
    inside = [b for b in boxes if b.end_ns > started_ns and b.start_ns < ended_ns]
    return sorted(inside, key=lambda b: b.start_ns), [e for e in events if started_ns <= e[0] < ended_ns]


def busy_by_bin(boxes, accelerator, started_ns, ended_ns, bins):
    """Per bin of time the share of it that each stream ran on the accelerator: a list of dictionaries. Jobs that shared
    a batch count once; what overlaps (a hard segment on top of a soft one) is counted for the later start."""
    width = (ended_ns - started_ns) / bins
    shares = [collections.Counter() for _ in range(bins)]
    for start, end, stream in flatten([b for b in boxes if b.accelerator == accelerator]):
        start, end = max(start, started_ns), min(end, ended_ns)
        while start < end:
            index = min(bins - 1, int((start - started_ns) / width))
            edge = min(end, max(start + 1, math.ceil(started_ns + (index + 1) * width)))
            shares[index][stream] += (edge - start) / width
            start = edge
    return shares


def flatten(boxes):
    """(start, end, stream) pieces without overlap: of two boxes at the same time the one that started later is shown."""
    pieces = []
    stack = []  # boxes that are still open, the visible one last

    def close_until(time_ns, at):
        while stack and stack[-1].end_ns <= time_ns:
            box = stack.pop()
            if box.end_ns > at:
                pieces.append((at, box.end_ns, box.stream))
                at = box.end_ns
        if stack and time_ns > at:
            pieces.append((at, time_ns, stack[-1].stream))
        return time_ns

    at = 0
    for box in sorted(boxes, key=lambda b: (b.start_ns, -b.end_ns)):
        at = max(close_until(box.start_ns, at), box.start_ns)
        stack.append(box)
    while stack:
        last = stack[-1].end_ns
        at = close_until(last, at)
    return pieces
