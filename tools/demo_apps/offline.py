"""Compares the answers of the service with those of takt-offline, which runs the same subnet on the same picture alone."""

import collections
import json
import subprocess
import time

import answers

TIME_LIMIT_S = 40.0  # a busy run uses many subnets; the most used are compared first


def served(out, phases):
    """(picture, width, height, subnet) -> list of (image, top1) over the phases' logs."""
    found = collections.defaultdict(list)
    for phase in phases:
        for stream in answers.read_logs(out / phase).values():
            form = tuple(stream.admission[k] for k in ("picture", "width", "height"))
            for frame in filter(answers.with_result, stream.frames):
                found[form + (frame["subnet"],)].append((frame["image"], frame["top1"]))
    return found


def offline_top1(binaries, model, sample, form, subnet):
    """Image -> top-1 of takt-offline, or nothing with what it said."""
    picture, width, height = form
    command = [binaries / "takt-offline", "--model", model, "--subnet", subnet, "--cifar", sample, "--format", picture,
               "--width", str(width), "--height", str(height)]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise RuntimeError(f"takt-offline failed: {done.stderr.strip()}")
    lines = map(json.loads, done.stdout.splitlines())
    return {line["frame"]: line["top1"] for line in lines}


def agreement(binaries, model, sample, out, phases, say):
    """Share of the compared answers with the same top-1. Subnets by how often they answered, until the time is up."""
    total = collections.Counter()
    give_up = time.monotonic() + TIME_LIMIT_S
    found = served(out, phases)
    for (*form, subnet), frames in sorted(found.items(), key=lambda item: -len(item[1])):
        if time.monotonic() > give_up:
            break
        truth = offline_top1(binaries, model, sample, form, subnet)
        total["compared"] += len(frames)
        total["equal"] += sum(truth[image] == top1 for image, top1 in frames)
        total["subnets"] += 1
    answered = sum(map(len, found.values()))
    share = answers.share(total["equal"], total["compared"])
    say(f"offline: {total['equal']} of {total['compared']} answers agree ({total['subnets']} subnets; {answered} answers in all)")
    return {"share": share, "compared": total["compared"], "answers": answered, "subnets": total["subnets"]}
