#!/usr/bin/env python3
"""An example application in Python: a cascade. A narrow subnet looks at every frame; where it is not sure, the service runs
the same frame again at full width on a child stream, without a round trip through this program. One JSON line a frame."""

import argparse
import json
import select
import signal
import sys
import time

import numpy as np
import takt

RECORD, SIDE = 3074, 32  # CIFAR-100: coarse label, fine label, three planes of 32 x 32 bytes
GRACE_S = 5.0            # for answers after the last frame
PATIENCE_S = 60.0        # for a broker with the model
TICK_S = 0.1             # how often a quiet loop looks around


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("--socket", help="the broker's socket; default $TAKT_SOCKET, else /run/takt/takt.sock")
    add("--model", default="slim_resnet")
    add("--name", default="cascade")
    add("--sample", required=True, help="file of CIFAR-100 records")
    add("--out", required=True, help="JSON lines, one a frame")
    add("--fps", type=float, default=15.0)
    add("--seconds", type=float, default=10.0)
    add("--deadline-ms", type=float, default=66.0)
    add("--accuracy-ceiling", type=float, default=1.0, help="most accuracy worth paying for at the first look")
    add("--child", default="cascade-full", help="name of the second look's stream")
    add("--child-deadline-ms", type=float, default=100.0)
    add("--child-accuracy-floor", type=float, default=0.0, help="least accuracy of the second look")
    add("--threshold", type=float, default=0.6, help="a second look where the first is less sure than this")
    add("--slots", type=int, default=4, help="frames in flight at most")
    add("--wait", action="store_true", help="read when to begin, ns on CLOCK_MONOTONIC, from standard input")
    add("--first-image", type=int, default=0, help="where in the sample to begin")
    return parser.parse_args()


def read_sample(path):
    """(pictures in height, width, channel order; fine labels)."""
    records = np.fromfile(path, np.uint8).reshape(-1, RECORD)
    planes = records[:, 2:].reshape(-1, 3, SIDE, SIDE)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 1].astype(int)


class Log:
    """The same lines as the application in C++ writes."""

    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8", buffering=1 << 20)

    def write(self, **entry):
        self.file.write(json.dumps(entry) + "\n")

    def opened(self, name, fps, deadline_ms, admission):
        self.write(event="open", stream=name, **{"class": "soft"}, fps=fps, deadline_ns=round(deadline_ms * 1e6), picture="rgb",
                   width=SIDE, height=SIDE, admission=admission.outcome, bound_ns=0, subnet=admission.subnet, accelerator="")
        self.file.flush()

    def answered(self, name, note, answer):
        now = time.monotonic_ns()
        ended = answer.end_ns or now  # the library's own answer for a broker that is gone carries no times of the broker
        top1 = int(answer.output(0).argmax()) if answer.has_result else -1
        self.write(stream=name, **note, verdict=answer.verdict.name.lower(), latency_ns=ended - note["submitted_ns"],
                   seen_ns=now - note["submitted_ns"], subnet=answer.subnet, top1=top1, accelerator=answer.accelerator,
                   batch=answer.largest_batch, start_ns=answer.start_ns, end_ns=answer.end_ns, deadline_ns=answer.deadline_ns,
                   executed_ns=answer.executed_ns)


class Cascade:
    """Hands in frames when they are due, whatever became of those before, and takes in answers in between."""

    def __init__(self, options, client, log):
        self.options, self.client, self.log = options, client, log
        self.pictures, self.labels = read_sample(options.sample)
        self.first = client.open(options.model, name=options.name, picture="rgb", width=SIDE, height=SIDE, fps=options.fps,
                                 deadline_ms=options.deadline_ms, accuracy_ceiling=options.accuracy_ceiling, slots=options.slots)
        self.second = client.open(options.model, parent=self.first, name=options.child, deadline_ms=options.child_deadline_ms,
                                  accuracy_floor=options.child_accuracy_floor, trigger=f"top1 < {options.threshold}")
        log.opened(options.name, options.fps, options.deadline_ms, self.first.admission)
        log.opened(options.child, options.fps, options.child_deadline_ms, self.second.admission)
        self.waiting = {self.first: {}, self.second: {}}
        self.names = {self.first: options.name, self.second: options.child}
        self.stop, self.reconnects, self.generation = False, 0, client.generation
        self.lost_at_ns, self.longest_gap_ns = 0, 0

    def run(self, start):
        """`start`: when the first frame is due, in ns."""
        for tag in range(int(self.options.seconds * self.options.fps)):
            due = start + round(tag * 1e9 / self.options.fps)
            while not self.stop and time.monotonic_ns() < due:
                self.turn(due)
            if self.stop:
                break
            self.submit(tag, due)
        give_up = time.monotonic_ns() + int(GRACE_S * 1e9)
        while any(self.waiting.values()) and time.monotonic_ns() < give_up:
            self.turn(give_up)
        for stream, notes in self.waiting.items():
            for note in notes.values():
                self.log.write(stream=self.names[stream], **note, verdict="unanswered")
        self.log.write(event="close", reconnects=self.reconnects, disconnected_ns=self.longest_gap_ns)

    def submit(self, tag, due):
        image = (self.options.first_image + tag) % len(self.pictures)
        note = {"tag": tag, "image": image, "label": int(self.labels[image]), "due_ns": due, "submitted_ns": time.monotonic_ns()}
        if self.first.submit(self.pictures[image], tag=tag, capture_ns=due):
            self.waiting[self.first][tag] = note
        else:
            self.log.write(stream=self.options.name, **note, verdict="no_credit" if self.client.connected else "disconnected")

    def turn(self, until_ns):
        """Sleeps until then or until something came, then takes it in."""
        left = min(TICK_S, max(0, until_ns - time.monotonic_ns()) / 1e9)
        select.select([self.client], [], [], left)
        for answer in self.client.answers(timeout=0):
            self.take(answer)
        self.watch_connection()

    def take(self, answer):
        note = self.waiting.get(answer.stream, {}).pop(answer.tag, None)
        if note is None:
            self.log.write(event="stray", stream=self.names.get(answer.stream), tag=answer.tag, verdict=answer.verdict.name.lower())
            return
        self.log.answered(self.names[answer.stream], note, answer)
        if answer.child_follows:  # the second look's deadline and latency count from the submit as well
            self.waiting[self.second][answer.tag] = note

    def watch_connection(self):
        now = time.monotonic_ns()
        if not self.client.connected:
            self.lost_at_ns = self.lost_at_ns or now
            return
        if self.lost_at_ns:
            self.longest_gap_ns = max(self.longest_gap_ns, now - self.lost_at_ns)
        self.lost_at_ns = 0
        self.reconnects += self.client.generation != self.generation
        self.generation = self.client.generation


def connect(options):
    """A cascade on a broker that has the model loaded; None if there is no such broker at the moment."""
    client = None
    try:
        client = takt.Client(options.socket, options.name)
        model = client.models.get(options.model)
        if model and model.ready:
            return Cascade(options, client, Log(options.out))
    except takt.NotAdmitted as refused:
        raise SystemExit(f"{options.name}: {refused}") from refused
    except takt.Error as error:
        print(f"{options.name}: {error}", file=sys.stderr)
    if client:
        client.close()
    return None


def main():
    options = parse_arguments()
    give_up = time.monotonic() + PATIENCE_S
    while (cascade := connect(options)) is None:
        if time.monotonic() > give_up:
            raise SystemExit(f"{options.name}: no broker with model {options.model} became ready")
        time.sleep(0.1)
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, lambda *_: setattr(cascade, "stop", True))
    start = sys.stdin.readline() if options.wait else ""
    cascade.run(int(start) if start.strip() else time.monotonic_ns())
    cascade.log.file.close()
    cascade.client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
